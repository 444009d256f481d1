//! A STUN and TURN server on loopback, until Ctrl-C.
//!
//! `cargo run -p floe-net --example server`

use std::io;

use floe_net::Server;
use floe_turn::{PeerPolicy, ServerConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let listener = "127.0.0.1:3478".parse().expect("an address");
    let mut config = ServerConfig::new(vec![listener], vec![listener.ip()], "example.org")
        .with_user("alice", "a long password");
    // Public peers only is the default; here nobody else can reach the server anyway.
    config.peers = PeerPolicy::default().allow("127.0.0.0/8".parse().expect("a prefix"));

    let mut server = Server::bind(config)?;
    println!("listening on {}, user alice", server.local_addr());
    let shutdown = async { drop(tokio::signal::ctrl_c().await) };
    server.run(shutdown, |event| println!("{event}")).await;
    println!("{:?}", server.counters());
    Ok(())
}
