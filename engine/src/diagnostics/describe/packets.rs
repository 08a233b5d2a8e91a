//! Packets and datagrams.

use super::super::event::{DropTrigger, LossTrigger, Packet, PacketTrigger};
use super::super::fields::Fields;
use super::{QlogSchema, frames};
use crate::packet::PacketType;
use crate::wire::{Ecn, Space, Version};

const fn packet_type(ty: PacketType) -> &'static str {
    match ty {
        PacketType::Initial => "initial",
        PacketType::ZeroRtt => "0RTT",
        PacketType::Handshake => "handshake",
        PacketType::Retry => "retry",
        PacketType::VersionNegotiation => "version_negotiation",
        PacketType::OneRtt => "1RTT",
    }
}

/// A version as the schema has it: eight hexadecimal digits.
pub(super) struct VersionNumber(pub(super) Version);

impl core::fmt::Display for VersionNumber {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:08x}", self.0.0)
    }
}

pub(super) fn packet(schema: QlogSchema, packet: &Packet<'_>, f: &mut Fields<'_>) {
    f.object("header", |f| {
        f.word("packet_type", packet_type(packet.ty));
        f.number_if("packet_number", packet.pn);
        if let Some(key_phase) = packet.key_phase {
            match schema {
                // The bits of the first byte that 0.3 calls flags.
                QlogSchema::V03 => f.number("flags", if key_phase { 0x44 } else { 0x40 }),
                QlogSchema::Draft => f.flag("key_phase_bit", key_phase),
            }
        }
        if let Some(version) = packet.version {
            f.display("version", VersionNumber(version));
        }
        if let Some(scid) = packet.scid {
            f.number("scil", scid.len() as u64);
            f.display("scid", scid);
        }
        f.number("dcil", packet.dcid.len() as u64);
        f.display("dcid", packet.dcid);
        if packet.token_len > 0 {
            f.object("token", |f| match schema {
                QlogSchema::V03 => f.number("length", packet.token_len as u64),
                QlogSchema::Draft => f.object("raw", |f| f.number("length", packet.token_len as u64)),
            });
        }
    });
    f.object("raw", |f| {
        f.number("length", packet.len as u64);
        f.number("payload_length", packet.payload.len() as u64);
    });
    if !packet.payload.is_empty() {
        frames::frames(schema, packet.payload, packet.ack_delay_exponent, f);
    }
    if !packet.supported_versions.is_empty() {
        f.list("supported_versions", |list| {
            packet.supported_versions.iter().for_each(|version| list.display(VersionNumber(*version)));
        });
    }
    match packet.trigger {
        Some(PacketTrigger::Probe) => f.word("trigger", "pto_probe"),
        Some(PacketTrigger::KeysAvailable) => f.word("trigger", "keys_available"),
        None => {}
    }
}

pub(super) fn dropped(
    schema: QlogSchema,
    ty: Option<PacketType>,
    len: usize,
    trigger: DropTrigger,
    f: &mut Fields<'_>,
) {
    f.object("header", |f| f.word("packet_type", ty.map_or("unknown", packet_type)));
    f.object("raw", |f| f.number("length", len as u64));
    let trigger = match trigger {
        DropTrigger::Invalid => schema.pick("header_parse_error", "invalid"),
        DropTrigger::Duplicate => "duplicate",
        DropTrigger::ConnectionUnknown => schema.pick("unknown_connection_id", "connection_unknown"),
        DropTrigger::DecryptionFailure => schema.pick("payload_decrypt_error", "decryption_failure"),
        DropTrigger::KeyUnavailable => "key_unavailable",
        DropTrigger::Unsupported => schema.pick("unsupported_version", "unsupported"),
        DropTrigger::Rejected => schema.pick("dos_prevention", "rejected"),
        DropTrigger::Unexpected => schema.pick("unexpected_packet", "general"),
    };
    f.word("trigger", trigger);
}

pub(super) fn buffered(ty: PacketType, len: usize, f: &mut Fields<'_>) {
    f.object("header", |f| f.word("packet_type", packet_type(ty)));
    f.object("raw", |f| f.number("length", len as u64));
    f.word("trigger", "keys_unavailable");
}

pub(super) fn lost(space: Space, pn: u64, len: usize, trigger: LossTrigger, f: &mut Fields<'_>) {
    f.object("header", |f| {
        // What was sent in 0-RTT packets counts in the same space.
        let ty = match space {
            Space::Initial => PacketType::Initial,
            Space::Handshake => PacketType::Handshake,
            Space::Application => PacketType::OneRtt,
        };
        f.word("packet_type", packet_type(ty));
        f.number("packet_number", pn);
    });
    f.object("raw", |f| f.number("length", len as u64));
    f.word(
        "trigger",
        match trigger {
            LossTrigger::ReorderingThreshold => "reordering_threshold",
            LossTrigger::TimeThreshold => "time_threshold",
        },
    );
}

pub(super) fn datagrams(schema: QlogSchema, len: usize, ecn: Ecn, f: &mut Fields<'_>) {
    f.number("count", 1);
    f.list("raw", |list| list.object(|f| f.number("length", len as u64)));
    let codepoint = match ecn {
        Ecn::NotEct => "Not-ECT",
        Ecn::Ect1 => "ECT(1)",
        Ecn::Ect0 => "ECT(0)",
        Ecn::Ce => "CE",
    };
    match schema {
        QlogSchema::V03 => {}
        QlogSchema::Draft => f.list("ecn", |list| list.display(codepoint)),
    }
}
