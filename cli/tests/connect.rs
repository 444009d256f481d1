//! `floe serve` and `floe connect` as processes, on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that is killed when a test ends, however it ends.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_floe"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("piped");
        thread::spawn(move || forward(BufReader::new(stdout), &sender));
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// Passes over what it signals until its result.
    fn result(&self) -> Value {
        loop {
            let signal: Value = serde_json::from_str(&self.line()).expect("JSON");
            if signal["type"] == "result" {
                return signal;
            }
        }
    }

    fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("piped, and taken once")
    }

    /// Waits for the end; its exit status and what it said on stderr.
    fn end(mut self) -> (i32, String) {
        let (sender, done) = channel();
        let mut stderr = self.child.stderr.take().expect("piped");
        thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            let _ = sender.send(text);
        });
        // Its stderr closes when it ends.
        let text = done.recv_timeout(PATIENCE).expect("an end in time");
        let status = self.child.wait().expect("ended");
        (status.code().unwrap_or(-1), text)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(reader: impl BufRead, sender: &Sender<String>) {
    for line in reader.lines().map_while(Result::ok) {
        if sender.send(line).is_err() {
            return;
        }
    }
}

/// A server on any port, with one user.
fn server() -> (Process, String) {
    let server = Process::start(&["serve", "--listen", "127.0.0.1:0", "--user", "alice:secret"]);
    let address = address_in(&server.line());
    (server, address)
}

/// Where a server says that it listens.
fn address_in(line: &str) -> String {
    let address = line.split(' ').nth(2);
    address.expect("listening on ADDRESS").to_owned()
}

fn side(role: &str, servers: &[String], extra: &[&str]) -> Process {
    let mut arguments = vec!["connect", "--address", "127.0.0.1", "--role", role];
    arguments.extend(servers.iter().map(String::as_str));
    arguments.extend(["--user", "alice", "--pass", "secret", "--linger", "0.5"]);
    arguments.extend(extra);
    Process::start(&arguments)
}

/// Two sides that know this server, wired to each other, until both have their results.
fn connect(server: &str, extra: &[&str]) -> [Value; 2] {
    let servers = ["--stun", server, "--turn", server].map(String::from);
    join(["controlling", "controlled"].map(|role| side(role, &servers, extra)))
}

/// Wires two sides to each other, until both have their results.
fn join([mut one, mut two]: [Process; 2]) -> [Value; 2] {
    let (input_one, input_two) = (one.stdin(), two.stdin());
    let wires = [(one, input_two), (two, input_one)].map(|(side, mut other)| {
        thread::spawn(move || {
            loop {
                let line = side.line();
                let signal: Value = serde_json::from_str(&line).expect("JSON");
                if signal["type"] == "result" {
                    let (status, stderr) = side.end();
                    assert_eq!(status, 0, "{stderr}");
                    return signal;
                }
                // The other side may have ended.
                let _ = writeln!(other, "{line}");
            }
        })
    });
    wires.map(|wire| wire.join().expect("no panic"))
}

fn check(results: &[Value; 2], kind: &str) {
    for result in results {
        assert_eq!(result["connected"], true, "{result}");
        assert_eq!(result["impl"], "floe", "{result}");
        assert_eq!(result["pings_sent"], result["pongs"], "{result}");
        assert_eq!(result["selected_pair"]["local"]["type"], kind, "{result}");
        assert!(result["ms"].is_number() && result["gather_ms"].is_number());
    }
    let address = |result: &Value, side: &str| {
        let end = &result["selected_pair"][side];
        (end["ip"].clone(), end["port"].clone())
    };
    assert_eq!(
        address(&results[0], "local"),
        address(&results[1], "remote")
    );
    assert_eq!(
        address(&results[1], "local"),
        address(&results[0], "remote")
    );
}

#[test]
fn two_agents_connect_directly_and_through_the_relay() {
    let (_server, address) = server();
    check(&connect(&address, &[]), "host");
    check(&connect(&address, &["--policy", "relay"]), "relay");
}

#[test]
fn a_relay_is_reached_over_tcp_where_that_is_wanted() {
    let (_server, address) = server();
    let sides = ["controlling", "controlled"].map(|role| side(role, &over_tcp(&address), &[]));
    check(&join(sides), "relay");

    // A server without TCP gives no relay then, and says so.
    let listen = ["serve", "--listen", "127.0.0.1:0", "--udp-only"];
    let udp = Process::start(&[&listen[..], &["--user", "alice:secret"]].concat());
    let address = address_in(&udp.line());
    let agent = side("controlling", &over_tcp(&address), &[]);
    let result = agent.result();
    let error = result["error"].as_str().expect("a text");
    assert!(error.contains("no connection to the server"), "{error}");
    assert_eq!(agent.end().0, 1);
}

/// The options for relayed candidates over TCP alone.
fn over_tcp(address: &str) -> Vec<String> {
    let turn = format!("turn:{address}?transport=tcp");
    ["--turn", &turn, "--policy", "relay"]
        .map(String::from)
        .into()
}

#[test]
fn two_connections_exchange_offer_and_answer() {
    let (_server, address) = server();
    check(&connect(&address, &["--sdp"]), "host");
    check(&connect(&address, &["--sdp", "--policy", "relay"]), "relay");
}

#[test]
fn without_options_the_server_says_what_it_allows_and_makes_up_a_user() {
    // The default port may be taken; any other is as good.
    let server = Process::start(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(server.line().starts_with("listening on 127.0.0.1:"));
    assert!(server.line().starts_with("peers on loopback are allowed"));
    let user = server.line();
    assert!(user.starts_with("user floe, password ") && user.ends_with("made up for this run"));
}

/// A wrong password is told, and with the relay policy nothing is left.
#[test]
fn a_wrong_password_is_told_and_harms_the_relay_only() {
    let (_server, address) = server();
    let mut agent = Process::start(&[
        "connect",
        "--address",
        "127.0.0.1",
        "--turn",
        &address,
        "--user",
        "alice",
        "--pass",
        "wrong",
        "--timeout",
        "2",
    ]);
    let mut input = agent.stdin();
    assert!(agent.line().contains("\"params\""));
    assert!(agent.line().contains("typ host"));
    let params = r#"{"type":"params","ufrag":"abcd","pwd":"0123456789012345678901"}"#;
    writeln!(input, "{params}").expect("it listens");
    let result = agent.result();
    assert_eq!(result["connected"], false);
    assert_eq!(result["error"], "not connected within 2 s");
    assert_eq!(result["selected_pair"], Value::Null);
    let (status, stderr) = agent.end();
    assert_eq!(status, 1);
    assert!(stderr.contains("the credentials were refused"), "{stderr}");
}

/// Without any candidate nothing can ever arrive: it says so at once, and why.
#[test]
fn a_wrong_password_leaves_nothing_if_only_relays_are_wanted() {
    let (_server, address) = server();
    let agent = Process::start(&[
        "connect",
        "--address",
        "127.0.0.1",
        "--turn",
        &address,
        "--user",
        "alice",
        "--pass",
        "wrong",
        "--policy",
        "relay",
    ]);
    let result = agent.result();
    assert_eq!(result["connected"], false);
    let error = result["error"].as_str().expect("a text");
    assert!(error.starts_with("no candidate on this side: "), "{error}");
    assert!(error.ends_with("the credentials were refused"), "{error}");
    assert_eq!(agent.end().0, 1);
}

#[test]
fn lines_that_cannot_be_read_are_told_and_the_agent_goes_on() {
    let mut agent = Process::start(&["connect", "--address", "127.0.0.1"]);
    let mut input = agent.stdin();
    for line in [
        "{",
        "[]",
        r#"{"type":"hello"}"#,
        r#"{"type":"params","ufrag":"a","pwd":"b"}"#,
        r#"{"type":"candidate","candidate":"candidate:what?"}"#,
        r#"{"type":"offer","sdp":"v=0"}"#,
        r#"{"type":"bye"}"#,
    ] {
        writeln!(input, "{line}").expect("it listens");
    }
    let (status, stderr) = agent.end();
    assert_eq!(status, 1, "nothing was connected");
    for number in 1..=6 {
        assert!(
            stderr.contains(&format!("signalling line {number}: ")),
            "{stderr}"
        );
    }
    assert!(!stderr.contains("signalling line 7"), "{stderr}");
}

#[test]
fn the_end_of_standard_input_ends_it() {
    let mut agent = Process::start(&["connect", "--address", "127.0.0.1"]);
    drop(agent.stdin());
    assert_eq!(agent.end().0, 1);
}

#[test]
fn arguments_that_cannot_be_meant_are_refused() {
    for (arguments, what) in [
        (&["connect", "--policy", "relay"][..], "needs a TURN server"),
        (&["connect", "--turn", "127.0.0.1:1"], "--user"),
        (&["connect", "--turn", "turns:127.0.0.1"], "only turn:"),
        (&["connect", "--timeout", "-1"], "unexpected argument"),
        (&["connect", "--timeout", "x"], "a number of seconds"),
        (&["connect", "--bogus"], "unexpected argument"),
        (
            &["connect", "--address", "224.0.0.1"],
            "cannot open a socket",
        ),
        (&["serve", "--listen", "0.0.0.0:0"], "--relay-ip"),
        (&["serve", "--user", "alice"], "NAME:PASSWORD"),
        (&["serve", "--allow-peer", "10.0.0.0/99"], "IP/BITS"),
    ] {
        let (status, stderr) = Process::start(arguments).end();
        assert_eq!(status, 2, "{arguments:?}: {stderr}");
        assert!(stderr.contains(what), "{arguments:?}: {stderr}");
    }
}
