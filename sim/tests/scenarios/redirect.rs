//! Row 43: a peer who wants somebody else to get the media.

use floe_ice::Role;
use floe_stun::TransactionId;

use crate::common::forgery::Check;
use crate::common::{Packet, for_each_variation, millis, secs};

/// How many the peer makes up.
const CHECKS: usize = 60;

/// RFC 8445 §7.3, §12.1; RFC 7675 §5: checks of the peer that seem to come from a victim, authentic in
/// everything but that, and nominating. The victim is asked, as any address that a check comes from, and
/// gets no data, for it answers nothing.
#[test]
fn scenario_43_spoofed_source() {
    for_each_variation(|variation| {
        for early in [true, false] {
            let mut world = variation.open().with_media(millis(100)).start();
            if early {
                // As soon as the peer knows whom to deceive.
                let met = world.run_until(secs(10), |sides| {
                    sides.into_iter().all(|side| side.introduced.is_some())
                });
                assert!(met);
            } else {
                world.settle();
                world.wait(secs(5));
            }
            let (victim, target) = (world.stranger_address, world.addresses[0]);
            let username = format!("{}:{}", world.ufrag(0), world.ufrag(1));
            let password = world.password(0);
            for number in 0..CHECKS as u8 {
                let role = match world.side(0).role() {
                    Role::Controlling => Role::Controlled,
                    Role::Controlled => Role::Controlling,
                };
                let check = Check {
                    id: TransactionId([number; 12]),
                    username: username.clone(),
                    // More than any that the peer has told.
                    priority: 0x7EFF_FFFF,
                    role,
                    tie_breaker: 1,
                    nominates: role == Role::Controlling,
                };
                world.forge(victim, target, &check.write(Some(&password)));
                world.wait(millis(50));
            }
            world.settle();
            world.wait(secs(20));
            world.assert_connected();
            let side = world.side(0);
            let to_victim = || side.sent().filter(|it| it.remote.ip() == victim.ip());
            assert!(!to_victim().any(Packet::is_data), "data was redirected");
            assert_eq!(side.selected().unwrap().remote.address, world.addresses[1]);
            assert!(side.never_lost_its_pair(), "{:?}", side.states);
            // And no flood of anything else: an answer to each check that seems to be its own, and in
            // return for some of them the checks that any address may get that never answers one.
            let answers = to_victim().filter(|it| it.is_success()).count();
            let checks = to_victim().filter(|it| it.is_check()).count();
            assert!(answers <= CHECKS, "{answers} answers");
            assert!(checks <= 28, "{checks} checks");
            if variation.is_calm() {
                assert!(checks > 0, "no check of the peer has come");
                let silence = world.side(1).longest_silence(world.now());
                assert!(silence <= millis(150), "{silence:?}");
            }
        }
    });
}
