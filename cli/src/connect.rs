//! `floe connect`: one ICE agent on real sockets, signalling on standard input and output.

mod args;
mod ice;
mod lines;
mod offer_answer;
mod pings;
mod session;
mod signal;

use std::io::Write;

pub(crate) use args::ConnectArgs;

use crate::error::Error;
use crate::run::Verdict;

pub(crate) fn run(args: &ConnectArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    args.check()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    runtime.block_on(async {
        if args.sdp {
            let side = offer_answer::OfferAnswer::bind(args)?;
            session::run(args, side, out).await
        } else {
            let side = ice::Ice::bind(args)?;
            session::run(args, side, out).await
        }
    })
}
