//! The guide: its table names everything that ngtcp2 has, each once, and what it names of this crate exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const GUIDE: &str = include_str!("../GUIDE.md");

/// The current functions of ngtcp2 1.26, those that it deprecates left out; without the prefix `ngtcp2_`.
const FUNCTIONS: &str = "
    accept addr_copy_byte addr_init
    ccerr_default ccerr_set_application_error ccerr_set_liberr ccerr_set_tls_alert ccerr_set_transport_error
    cid_eq cid_init
    conn_after_retry2 conn_client_new conn_continue_handshake conn_decode_and_set_0rtt_transport_params
    conn_decode_and_set_remote_transport_params conn_del conn_encode_0rtt_transport_params2
    conn_encode_local_transport_params2 conn_extend_max_offset conn_extend_max_stream_offset
    conn_extend_max_streams_bidi conn_extend_max_streams_uni conn_get_0rtt_crypto_ctx2 conn_get_active_dcid3
    conn_get_ccerr2 conn_get_client_chosen_version2 conn_get_client_initial_dcid2 conn_get_conn_info2
    conn_get_crypto_ctx2 conn_get_cwnd_left2 conn_get_dcid2 conn_get_expiry2 conn_get_handshake_completed2
    conn_get_initial_crypto_ctx2 conn_get_local_transport_params2 conn_get_max_data_left2
    conn_get_max_stream_data_left2 conn_get_max_tx_udp_payload_size2 conn_get_negotiated_version2 conn_get_path2
    conn_get_path_max_tx_udp_payload_size2 conn_get_pto2 conn_get_remote_transport_params2 conn_get_scid2
    conn_get_send_quantum2 conn_get_stream_loss_count2 conn_get_stream_user_data2 conn_get_streams_bidi_left2
    conn_get_streams_uni_left2 conn_get_timestamp conn_get_tls_alert2 conn_get_tls_early_data_rejected2
    conn_get_tls_error2 conn_get_tls_native_handle2 conn_handle_expiry conn_in_closing_period2
    conn_in_draining_period2 conn_initiate_immediate_migration conn_initiate_key_update conn_initiate_migration
    conn_install_0rtt_key conn_install_initial_key conn_install_rx_handshake_key conn_install_rx_key
    conn_install_tx_handshake_key conn_install_tx_key conn_install_vneg_initial_key conn_is_local_stream2
    conn_is_server2 conn_open_bidi_stream conn_open_uni_stream conn_read_pkt conn_server_new
    conn_set_0rtt_crypto_ctx conn_set_crypto_ctx conn_set_initial_crypto_ctx conn_set_keep_alive_timeout
    conn_set_local_addr conn_set_local_transport_params conn_set_path_user_data conn_set_retry_aead
    conn_set_stream_user_data conn_set_tls_alert conn_set_tls_error conn_set_tls_native_handle
    conn_shutdown_stream conn_shutdown_stream_read conn_shutdown_stream_write conn_submit_crypto_data
    conn_submit_new_token conn_tls_early_data_rejected conn_tls_handshake_completed conn_update_pkt_tx_time
    conn_write_aggregate_pkt conn_write_aggregate_pkt2 conn_write_connection_close conn_write_datagram
    conn_write_pkt conn_write_stream conn_writev_datagram conn_writev_stream
    err_infer_quic_transport_error_code err_is_fatal is_bidi_stream is_reserved_version is_supported_version
    mem_default path_copy path_eq path_storage_init path_storage_zero
    pkt_decode_hd_long pkt_decode_hd_short pkt_decode_version_cid pkt_write_connection_close pkt_write_retry
    pkt_write_stateless_reset2 pkt_write_version_negotiation
    secure_clear select_version settings_default strerror
    transport_params_decode transport_params_decode_new transport_params_default transport_params_del
    transport_params_encode version";

/// The members of `ngtcp2_callbacks`.
const CALLBACKS: &str = "
    client_initial recv_client_initial recv_crypto_data handshake_completed recv_version_negotiation encrypt decrypt
    hp_mask recv_stream_data acked_stream_data_offset stream_open stream_close recv_stateless_reset recv_retry
    extend_max_local_streams_bidi extend_max_local_streams_uni rand get_new_connection_id remove_connection_id
    update_key path_validation select_preferred_addr stream_reset extend_max_remote_streams_bidi
    extend_max_remote_streams_uni extend_max_stream_data dcid_status handshake_confirmed recv_new_token
    delete_crypto_aead_ctx delete_crypto_cipher_ctx recv_datagram ack_datagram lost_datagram
    get_path_challenge_data stream_stop_sending version_negotiation recv_rx_key recv_tx_key
    tls_early_data_rejected begin_path_validation recv_stateless_reset2 get_new_connection_id2 dcid_status2
    get_path_challenge_data2 recv_stop_sending stream_close2 extend_max_data";

/// The fields of `ngtcp2_settings`.
const SETTINGS: &str = "
    cc_algo initial_rtt ack_thresh max_tx_udp_payload_size handshake_timeout glitch_ratelim_burst
    glitch_ratelim_rate initial_ts qlog_write log_write log_printf token tokenlen token_type rand_ctx max_window
    max_stream_window no_tx_udp_payload_size_shaping no_pmtud preferred_versions preferred_versionslen
    available_versions available_versionslen original_version initial_pkt_num pmtud_probes pmtud_probeslen";

/// The fields of `ngtcp2_transport_params`, those that say whether another is there left out.
const TRANSPORT_PARAMETERS: &str = "
    original_dcid max_idle_timeout stateless_reset_token max_udp_payload_size initial_max_data
    initial_max_stream_data_bidi_local initial_max_stream_data_bidi_remote initial_max_stream_data_uni
    initial_max_streams_bidi initial_max_streams_uni ack_delay_exponent max_ack_delay disable_active_migration
    preferred_addr active_connection_id_limit initial_scid retry_scid version_info max_datagram_frame_size
    grease_quic_bit";

/// The error codes, without the prefix `NGTCP2_ERR_`.
const ERRORS: &str = "
    INVALID_ARGUMENT NOBUF PROTO INVALID_STATE ACK_FRAME STREAM_ID_BLOCKED STREAM_IN_USE STREAM_DATA_BLOCKED
    FLOW_CONTROL CONNECTION_ID_LIMIT STREAM_LIMIT FINAL_SIZE CRYPTO PKT_NUM_EXHAUSTED REQUIRED_TRANSPORT_PARAM
    MALFORMED_TRANSPORT_PARAM FRAME_ENCODING DECRYPT STREAM_SHUT_WR STREAM_NOT_FOUND STREAM_STATE
    RECV_VERSION_NEGOTIATION CLOSING DRAINING TRANSPORT_PARAM DISCARD_PKT CONN_ID_BLOCKED INTERNAL
    CRYPTO_BUFFER_EXCEEDED WRITE_MORE RETRY DROP_CONN AEAD_LIMIT_REACHED NO_VIABLE_PATH VERSION_NEGOTIATION
    HANDSHAKE_TIMEOUT VERSION_NEGOTIATION_FAILURE IDLE_CLOSE FATAL NOMEM CALLBACK_FAILURE";

/// The rows of the table under a heading: both cells.
fn rows(heading: &str) -> Vec<(&'static str, &'static str)> {
    let (_, section) = GUIDE.split_once(&format!("\n### {heading}\n")).expect("the heading is there");
    let section = section.split("\n#").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split_once(" | ").expect("two cells")).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Every name of `expected` stands in the first column of the table under `heading` once, and nothing else does.
fn check(heading: &str, prefix: &str, expected: &str, count: usize) {
    let mut seen: BTreeMap<String, usize> =
        expected.split_whitespace().map(|name| (format!("{prefix}{name}"), 0)).collect();
    assert_eq!(seen.len(), count, "{heading}");
    for (theirs, ours) in rows(heading) {
        assert!(
            quoted(ours).next().is_some() || ours.contains("because") || ours.contains("none:"),
            "{theirs}: {ours}"
        );
        for name in quoted(theirs) {
            *seen.get_mut(name).unwrap_or_else(|| panic!("{heading}: {name} is none of ngtcp2's")) += 1;
        }
    }
    let wrong: Vec<_> = seen.iter().filter(|(_, times)| **times != 1).collect();
    assert!(wrong.is_empty(), "{heading}: not once: {wrong:?}");
}

#[test]
fn every_name_of_ngtcp2_has_its_place_once() {
    check("Functions", "ngtcp2_", FUNCTIONS, 128);
    check("Callbacks", "", CALLBACKS, 48);
    check("Settings", "", SETTINGS, 27);
    check("Transport parameters", "", TRANSPORT_PARAMETERS, 20);
    check("Error codes", "NGTCP2_ERR_", ERRORS, 41);
}

fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            into.push(fs::read_to_string(path).unwrap());
        }
    }
}

/// Whether `text` defines `name`: after one of `before`, and up to the end of the word.
fn defines(text: &str, name: &str, before: &[&str]) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let (head, tail) = (&text[..at], &text[at + name.len()..]);
        !tail.starts_with(word) && before.iter().any(|before| head.ends_with(before))
    })
}

/// Variants and fields stand at the start of a line, alone or after `pub`.
fn has_member(text: &str, name: &str) -> bool {
    defines(text, name, &["fn ", "pub const ", "    pub ", "\n    "])
}

#[test]
fn every_name_of_this_crate_exists() {
    let mut texts = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    let prose: String = GUIDE.split("```").step_by(2).collect::<Vec<_>>().join("\n");
    let mut checked = 0;
    // The first column of the tables is ngtcp2's.
    let lines = prose.lines().map(|line| match line.split_once(" | ") {
        Some((theirs, ours)) if line.starts_with('|') && !theirs.contains("Connection::") => ours,
        _ => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    for name in quoted(&text) {
        let is_path = name.chars().all(|c| c.is_alphanumeric() || "_:".contains(c));
        let Some((of, member)) = name.rsplit_once("::").filter(|_| is_path) else {
            if is_path && name.starts_with(|c: char| c.is_ascii_uppercase()) && !FOREIGN.contains(&name) {
                let exists = texts.iter().any(|text| has_type(text, name) || has_member(text, name));
                assert!(exists, "{name} does not exist");
                checked += 1;
            }
            continue;
        };
        let is_module = of.starts_with(|c: char| c.is_ascii_lowercase());
        let found = if is_module {
            texts.iter().any(|text| has_type(text, member) || defines(text, member, &["pub fn ", "use parse::{", ", "]))
        } else {
            // Where the type is defined, or a part of its methods.
            let home = |text: &&String| has_type(text, of) || defines(text, of, &["\nimpl "]);
            texts.iter().any(|text| has_type(text, of))
                && texts.iter().filter(home).any(|text| has_member(text, member))
        };
        assert!(found, "{name} does not exist");
        checked += 1;
    }
    assert!(checked > 300, "{checked}");
}

/// Not this crate's.
const FOREIGN: [&str; 6] = ["Bytes", "SocketAddr", "Send", "Display", "Pair", "Blocked"];

fn has_type(text: &str, name: &str) -> bool {
    defines(text, name, &["pub struct ", "pub enum ", "pub trait ", "pub type ", "pub mod "])
}
