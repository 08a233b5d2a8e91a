//! Whole transfers over paths of every kind, in virtual time: that they complete, and how fast.

use std::net::SocketAddr;
use std::time::Duration;

use quillon::congestion::CongestionControl;
use quillon::{ConnectionHandle, Time, TransportSettings};
use quillon_simulator::chance::{Chance, Loss};
use quillon_simulator::flow::{self, Flow, jain};
use quillon_simulator::host::{Host, Native};
use quillon_simulator::link::Conditions;
use quillon_simulator::network::{LinkId, Network, NodeId, Wakeup};
use quillon_simulator::queue::Discipline;
use quillon_simulator::{MILLISECOND, SECOND};

const MBIT: u64 = 1_000_000;
const MIB: u64 = 1 << 20;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn server_address() -> SocketAddr {
    address("192.0.2.2:443")
}

fn settings(congestion: CongestionControl) -> TransportSettings {
    TransportSettings { congestion, max_udp_payload_size: 1472, ..TransportSettings::default() }
}

/// A client behind a NAT, a server, and a link each way.
struct Path {
    network: Network<Native>,
    client: (NodeId, ConnectionHandle),
    server: (NodeId, ConnectionHandle),
    there: LinkId,
    back: LinkId,
}

impl Path {
    fn new(transport: &TransportSettings, there: Conditions, back: Conditions) -> Self {
        let mut network = Network::new(7);
        let server = network.add_node(Native::server(transport.clone(), [1; 32]), server_address(), false, true);
        let local = address("10.0.0.1:50000");
        let client = network.add_node(Native::client(transport.clone(), [2; 32]), local, true, false);
        let (there, back) = network.join(client, server, there, back);
        let handles = flow::connect(&mut network, (client, local), (server, server_address()), 20 * SECOND);
        let (at_client, at_server) = handles.expect("the handshake completes");
        Self { network, client: (client, at_client), server: (server, at_server), there, back }
    }

    fn symmetric(transport: &TransportSettings, conditions: Conditions) -> Self {
        Self::new(transport, conditions, conditions)
    }

    /// Sends `len` bytes to the server: the flow once it has ended, which it does within `time`.
    fn upload(&mut self, len: u64, time: Time) -> Flow {
        let mut flows = [Flow::begin(&mut self.network, self.client, self.server, len)];
        let until = self.network.now() + time;
        let ended = flow::run(&mut self.network, &mut flows, until);
        let [flow] = flows;
        assert!(ended, "{} of {len} bytes in {time} ns", flow.read);
        flow
    }

    /// The share of the link to the server, in thousandths, that a transfer of `len` bytes uses from its beginning.
    fn share(&mut self, len: u64, time: Time) -> u64 {
        let rate = self.network.link(self.there).conditions.rate;
        let flow = self.upload(len, time);
        flow.goodput(self.network.now()) * 1_000 / rate
    }

    /// Packets declared lost by the client, and those that the link dropped.
    fn losses(&mut self) -> (u64, u64) {
        let (node, handle) = self.client;
        let lost = self.network.host(node).stats(handle).expect("the connection lives").packets_lost;
        (lost, self.network.link(self.there).counts().dropped())
    }
}

#[test]
fn a_clean_link_is_filled() {
    for congestion in [CongestionControl::Cubic, CongestionControl::NewReno] {
        let link = Conditions::bottleneck(100 * MBIT, 20 * MILLISECOND);
        let mut path = Path::symmetric(&settings(congestion.clone()), link);
        let share = path.share(40 * MIB, 10 * SECOND);
        println!("{congestion:?}: {share}, {:?}", path.losses());
        assert!(share >= 800, "{congestion:?}: {share} thousandths");
        let again = path.share(40 * MIB, 10 * SECOND);
        println!("{congestion:?}: {again}, {:?}", path.losses());
        assert!(again >= 900, "{congestion:?} after start-up: {again} thousandths");
    }
}

#[test]
fn a_long_fat_path_is_filled() {
    let link = Conditions::bottleneck(1_000 * MBIT, 50 * MILLISECOND);
    let transport = TransportSettings {
        send_buffer: 64 << 20,
        initial_max_data: 64 << 20,
        initial_max_stream_data_uni: 64 << 20,
        ..settings(CongestionControl::Cubic)
    };
    let mut path = Path::symmetric(&transport, link);
    let share = path.share(100 * MIB, 20 * SECOND);
    println!("{share}, {:?}", path.losses());
    let again = path.share(100 * MIB, 20 * SECOND);
    println!("{again}, {:?}", path.losses());
    assert!(share >= 400 && again >= 700, "{share} {again}");
}

#[test]
fn random_loss_slows_and_does_not_stop() {
    for (percent, least) in [(1, 35), (5, 10)] {
        let loss = Loss::Random(Chance::percent(percent));
        let link = Conditions { loss, ..Conditions::bottleneck(100 * MBIT, 20 * MILLISECOND) };
        let mut path = Path::symmetric(&settings(CongestionControl::Cubic), link);
        let share = path.share(5 * MIB, 120 * SECOND);
        println!("{percent} %: {share}, {:?}", path.losses());
        assert!(share >= least, "{percent} %: {share} thousandths");
        let (declared, dropped) = path.losses();
        assert!(declared <= dropped + 10, "{declared} declared lost, {dropped} dropped");
    }
}

#[test]
fn bursts_of_loss_do_not_stop_a_transfer() {
    let loss =
        Loss::Burst { begin: Chance(2_000), end: Chance::percent(10), good: Chance::NEVER, bad: Chance::percent(90) };
    let link = Conditions { loss, ..Conditions::bottleneck(50 * MBIT, 20 * MILLISECOND) };
    let mut path = Path::symmetric(&settings(CongestionControl::Cubic), link);
    path.upload(10 * MIB, 60 * SECOND);
    assert!(path.losses().1 > 50, "{:?}", path.losses());
}

#[test]
fn reordering_and_copies_are_put_right() {
    let link = Conditions {
        reordering: Chance::percent(5),
        reordering_delay: 10 * MILLISECOND,
        duplication: Chance::percent(5),
        ..Conditions::bottleneck(50 * MBIT, 20 * MILLISECOND)
    };
    let mut path = Path::symmetric(&settings(CongestionControl::Cubic), link);
    let share = path.share(10 * MIB, 60 * SECOND);
    println!("{share}, {:?}", path.losses());
}

#[test]
fn jitter_that_keeps_the_order_costs_no_loss() {
    let link = Conditions { jitter: 10 * MILLISECOND, rate: 0, ..Conditions::PERFECT };
    let mut path = Path::symmetric(&settings(CongestionControl::Cubic), link);
    path.upload(5 * MIB, 10 * SECOND);
    assert_eq!(path.losses(), (0, 0));
}

#[test]
fn corrupted_datagrams_are_dropped_and_sent_again() {
    let link = Conditions { corruption: Chance::percent(2), ..Conditions::bottleneck(50 * MBIT, 10 * MILLISECOND) };
    let mut path = Path::symmetric(&settings(CongestionControl::Cubic), link);
    path.upload(10 * MIB, 60 * SECOND);
    assert!(path.network.link(path.there).counts().corrupted > 50);
}

#[test]
fn a_transfer_outlives_two_seconds_of_silence() {
    for both in [false, true] {
        let link = Conditions::bottleneck(50 * MBIT, 20 * MILLISECOND);
        let mut path = Path::symmetric(&settings(CongestionControl::Cubic), link);
        let mut flows = [Flow::begin(&mut path.network, path.client, path.server, 20 * MIB)];
        let cut = path.network.now() + SECOND;
        assert!(!flow::run(&mut path.network, &mut flows, cut));
        path.network.link(path.there).die(cut + 2 * SECOND);
        if both {
            path.network.link(path.back).die(cut + 2 * SECOND);
        }
        // 3.4 s of sending, 2 s of silence, and until a probe gets through as long again at most, less what is
        // left over for the slow restart.
        assert!(flow::run(&mut path.network, &mut flows, cut + 10 * SECOND), "{flows:?}");
    }
}

#[test]
fn a_nat_may_change_its_mind_in_the_middle() {
    let link = Conditions::bottleneck(50 * MBIT, 20 * MILLISECOND);
    // Who only receives has to say something for the server to learn of its new address.
    let keep_alive = Some(Duration::from_secs(1));
    let mut path = Path::symmetric(&TransportSettings { keep_alive, ..settings(CongestionControl::Cubic) }, link);
    for upload in [true, false] {
        let (from, to) = if upload { (path.client, path.server) } else { (path.server, path.client) };
        let mut flows = [Flow::begin(&mut path.network, from, to, 20 * MIB)];
        for _ in 0..3 {
            let until = path.network.now() + SECOND / 2;
            assert!(!flow::run(&mut path.network, &mut flows, until));
            path.network.rebind(path.client.0);
        }
        let until = path.network.now() + 30 * SECOND;
        assert!(flow::run(&mut path.network, &mut flows, until), "upload {upload}: {flows:?}");
    }
}

#[test]
fn a_thin_way_back_carries_the_acknowledgments() {
    let there = Conditions::bottleneck(100 * MBIT, 10 * MILLISECOND);
    let back = Conditions { queue: 30_000, ..Conditions::bottleneck(MBIT, 30 * MILLISECOND) };
    let mut path = Path::new(&settings(CongestionControl::Cubic), there, back);
    let share = path.share(20 * MIB, 30 * SECOND);
    println!("{share}, {:?}", path.losses());
    assert!(share >= 300, "{share} thousandths");
}

#[test]
fn late_timers_slow_and_do_not_break() {
    let link = Conditions::bottleneck(50 * MBIT, 20 * MILLISECOND);
    let mut path = Path::symmetric(&settings(CongestionControl::Cubic), link);
    path.network.set_wakeup(path.client.0, Wakeup { delay: 20 * MILLISECOND, grid: 0 });
    path.upload(5 * MIB, 20 * SECOND);
    // A page in the background.
    path.network.set_wakeup(path.client.0, Wakeup { delay: 0, grid: SECOND });
    path.upload(MIB, 60 * SECOND);
}

/// Two clients with a link of their own each, and a bottleneck that both share: their goodput.
fn two_flows(congestion: &CongestionControl, discipline: Discipline) -> [u64; 2] {
    let mut network = Network::new(9);
    let transport = settings(congestion.clone());
    let server = network.add_node(Native::server(transport.clone(), [1; 32]), server_address(), false, true);
    let shared = Conditions { discipline, ..Conditions::bottleneck(50 * MBIT, 15 * MILLISECOND) };
    let (up, down) = (network.add_link(shared), network.add_link(shared));
    let mut flows = Vec::new();
    for number in 1..=2u8 {
        let local = SocketAddr::from(([10, 0, 0, number], 50_000));
        let client = network.add_node(Native::client(transport.clone(), [number + 1; 32]), local, false, false);
        let access = Conditions { delay: 5 * MILLISECOND, ..Conditions::PERFECT };
        let (own_up, own_down) = (network.add_link(access), network.add_link(access));
        network.route(client, server, &[own_up, up]);
        network.route(server, client, &[down, own_down]);
        let (at_client, at_server) =
            flow::connect(&mut network, (client, local), (server, server_address()), 20 * SECOND).expect("connected");
        flows.push(Flow::begin(&mut network, (client, at_client), (server, at_server), 1 << 40));
        // The second comes while the first is under way.
        let until = network.now() + SECOND;
        flow::run(&mut network, &mut flows, until);
    }
    let before = [flows[0].read, flows[1].read];
    let until = network.now() + 30 * SECOND;
    flow::run(&mut network, &mut flows, until);
    [flows[0].read - before[0], flows[1].read - before[1]]
}

#[test]
fn two_flows_share_a_bottleneck() {
    for congestion in [CongestionControl::Cubic, CongestionControl::NewReno] {
        for discipline in [Discipline::DropTail, Discipline::codel(false)] {
            let shares = two_flows(&congestion, discipline);
            let used = (shares[0] + shares[1]) * 8 / 30 * 1_000 / (50 * MBIT);
            println!("{congestion:?} {discipline:?}: {shares:?}, fairness {}, {used} used", jain(&shares));
            assert!(jain(&shares) > 900, "{congestion:?} {discipline:?}: {shares:?}");
            assert!(used >= 800, "{congestion:?} {discipline:?}: {used} thousandths used");
        }
    }
}

#[test]
fn a_handshake_completes_at_heavy_loss() {
    let transport =
        TransportSettings { handshake_timeout: Some(Duration::from_secs(60)), ..TransportSettings::default() };
    let conditions = Conditions { loss: Loss::Random(Chance::percent(25)), ..Conditions::PERFECT };
    let mut times = Vec::new();
    for seed in 0..200 {
        let mut network = Network::new(seed);
        let server = network.add_node(Native::server(transport.clone(), [1; 32]), server_address(), false, true);
        let local = address("10.0.0.1:50000");
        let client = network.add_node(Native::client(transport.clone(), [2; 32]), local, true, false);
        network.join(client, server, conditions, conditions);
        let began = network.now();
        let connected = flow::connect(&mut network, (client, local), (server, server_address()), 70 * SECOND);
        assert!(connected.is_some(), "seed {seed}: not within a minute");
        times.push(network.now() - began);
    }
    times.sort_unstable();
    println!("median {}, worst {}", times[100], times[199]);
    assert!(times[100] < SECOND, "half of all within {} ns", times[100]);
    assert!(times[189] < 5 * SECOND, "95 of 100 within {} ns", times[189]);
    assert!(times[199] < 30 * SECOND, "all within {} ns", times[199]);
}
