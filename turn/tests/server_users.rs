//! Whom the server takes for a user: from a base that the owner gives, by names that end, or because
//! somebody else vouches for him (RFC 7635).

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{Server, ServerConfig, ServerEvent, UserBase};
use support::*;

fn udp(b: Builder<'_>) -> Builder<'_> {
    b.with(&RequestedTransport::UDP)
}

/// Users whom the owner has to ask for.
struct Remote;

impl Users for Remote {
    fn find(&self, _: &UserQuery<'_>) -> UserAnswer {
        UserAnswer::Later
    }
}

fn config_with(users: impl Users + Send + Sync + 'static) -> ServerConfig {
    let mut config = server_config();
    config.user_base = Some(UserBase::new(users));
    config
}

fn wanted(server: &mut Server) -> Option<UserWanted> {
    match server.poll_event() {
        Some(ServerEvent::UserWanted(wanted)) => Some(wanted),
        None => None,
        other => panic!("{other:?}"),
    }
}

// ---- a base that takes its time ------------------------------------------------------------

#[test]
fn a_request_waits_until_its_user_is_found() {
    let (mut server, now) = server_with(config_with(Remote));
    let mut asker = Asker::new();
    let first = asker.message(Method::ALLOCATE, &|b| udp(b));
    let challenge = asker.tell(&mut server, now, &first).unwrap();
    asker.auth.challenge(&challenge.message(), false).unwrap();
    let request = asker.message(Method::ALLOCATE, &|b| udp(b));
    let (input, _) = feed(&mut server, now, asker.path, &request);
    assert_eq!(input, Input::Handled);
    assert!(server.poll_transmit().is_none());
    assert_eq!(server.allocations(), 0);
    let wanted_one = wanted(&mut server).unwrap();
    assert_eq!(wanted_one.name.as_deref(), Ok(USER));
    // It is retransmitted meanwhile.
    let _ = feed(&mut server, now, asker.path, &request);
    assert_eq!(wanted(&mut server), None);

    let key = Key::long_term_sha256(USER, REALM, PASSWORD);
    let key = match wanted_one.derivation {
        KeyDerivation::Md5 => support::key(),
        KeyDerivation::Sha256 => key,
    };
    let found = User { id: 77, key };
    server.answer_user(now + secs(1), wanted_one.ticket, Some(found.clone()));
    let transmit = server.poll_transmit().expect("an answer");
    let answer = Answer(transmit.payload.to_vec());
    assert_eq!((answer.code(), transmit.path), (0, asker.path));
    assert!(asker.auth.verify(&answer.message()));
    let opened = server.poll_event();
    assert!(
        matches!(&opened, Some(ServerEvent::RelayOpened { username, .. }) if &**username == USER)
    );
    server.answer_user(now, wanted_one.ticket, Some(found));
    assert!(server.poll_transmit().is_none(), "once");
}

#[test]
fn a_user_whom_nobody_finds_gets_what_a_wrong_password_gets() {
    let mut answers = Vec::new();
    for found in [true, false] {
        let (mut server, now) = server_with(config_with(Remote));
        let mut asker = Asker::new();
        let first = asker.message(Method::ALLOCATE, &|b| udp(b));
        let challenge = asker.tell(&mut server, now, &first).unwrap();
        asker.auth.challenge(&challenge.message(), false).unwrap();
        let request = asker.message(Method::ALLOCATE, &|b| udp(b));
        let _ = feed(&mut server, now, asker.path, &request);
        let ticket = wanted(&mut server).unwrap().ticket;
        let other = User {
            id: 1,
            key: Key::new(b"another"),
        };
        server.answer_user(now, ticket, found.then_some(other));
        let answer = Answer(server.poll_transmit().unwrap().payload.to_vec());
        assert_eq!((answer.code(), server.allocations()), (401, 0));
        answers.push(answer.0);
    }
    assert_eq!(answers[0], answers[1]);
}

/// Attack 17 for a base that is slow: what waits is bounded.
#[test]
fn requests_that_wait_are_bounded() {
    let (mut server, now) = server_with(config_with(Remote));
    let mut count = 0;
    for n in 0..200u16 {
        let mut asker = Asker::at(std::net::SocketAddr::new(home().ip(), 1000 + n));
        let first = asker.message(Method::ALLOCATE, &|b| udp(b));
        let challenge = asker.tell(&mut server, now, &first).unwrap();
        asker.auth.challenge(&challenge.message(), false).unwrap();
        let request = asker.message(Method::ALLOCATE, &|b| udp(b));
        let (input, _) = feed(&mut server, now, asker.path, &request);
        count += usize::from(input == Input::Handled);
    }
    assert_eq!(count, MAX_PARKED);
}

// ---- names that end ------------------------------------------------------------------------

/// 2023-11-14.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);

/// Attack 35.
#[test]
fn a_name_that_has_ended_or_is_none_is_nobody() {
    const DAY: u64 = 86_400;
    let users = TimeLimitedUsers::new("a long secret", EPOCH, Duration::from_secs(DAY));
    let issue = |at: u64| users.issue("alice", Duration::from_secs(at));
    let until = EPOCH.as_secs() + 1000;
    let (mut server, now) = server_with(config_with(users.clone()));
    let mut ask = |name: &str, password: &str, at: Instant| {
        let mut asker = Asker::user(home(), name, password);
        let answer = asker.ask(&mut server, at, Method::ALLOCATE, udp);
        if answer.code() == 0 {
            asker.refresh(&mut server, at, 0);
        }
        answer.code()
    };
    let good = issue(until);
    assert_eq!(ask(&good.username, good.password.expose(), now), 0);
    assert_eq!(ask(&good.username, "wrong", now), 401);
    let far = issue(EPOCH.as_secs() + DAY + 2);
    assert_eq!(ask(&far.username, far.password.expose(), now), 401);
    for name in [
        "1700001000:",
        ":alice",
        "alice",
        "+1700001000:alice",
        "x:alice",
        "9223372036854775808:alice",
        "18446744073709551616:alice",
        "-1:alice",
    ] {
        assert_eq!(ask(name, "whatever", now), 401, "{name}");
    }
    let late = Instant::from_secs(1001);
    assert_eq!(ask(&good.username, good.password.expose(), late), 401);
}

/// The text behind the colon is the user.
#[test]
fn quotas_count_the_user_behind_the_name() {
    let users = TimeLimitedUsers::new("a long secret", EPOCH, Duration::from_secs(86_400));
    let mut config = config_with(users.clone());
    config.limits.per_user = 1;
    let (mut server, now) = server_with(config);
    let mut codes = Vec::new();
    for (port, user, end) in [(1, "alice", 1000), (2, "alice", 2000), (3, "bob", 1000)] {
        let issued = users.issue(user, EPOCH + Duration::from_secs(end));
        let home = std::net::SocketAddr::new(home().ip(), port);
        let mut asker = Asker::user(home, &issued.username, issued.password.expose());
        codes.push(asker.ask(&mut server, now, Method::ALLOCATE, udp).code());
    }
    assert_eq!(codes, [0, 486, 0]);
}

/// Users by whatever names.
struct Base(BTreeMap<String, Key>);
impl Users for Base {
    fn find(&self, query: &UserQuery<'_>) -> UserAnswer {
        let UserName::Plain(name) = query.name else {
            return UserAnswer::Unknown;
        };
        assert_eq!(query.derivation, KeyDerivation::Sha256);
        match self.0.get(name) {
            Some(key) => UserAnswer::Known(User {
                id: name.len() as u64,
                key: key.clone(),
            }),
            None => UserAnswer::Unknown,
        }
    }
}

/// Attack 36: a name is bytes, and nothing that is counted is named by it.
#[test]
fn a_strange_name_is_told_as_it_is_and_counted_nowhere() {
    let long = "x".repeat(508);
    let names = ["100%s", "o'brien\"; --", "a\nb", "a\0b", "-", &long];
    let mut users = BTreeMap::new();
    for name in names {
        users.insert(name.to_owned(), Key::long_term_sha256(name, REALM, "p"));
    }
    let (mut server, now) = server_with(config_with(Base(users)));
    for (n, name) in names.into_iter().enumerate() {
        let home = std::net::SocketAddr::new(home().ip(), 1 + n as u16);
        let mut asker = Asker::user(home, name, "p");
        asker.auth =
            LongTermClient::new(Credentials::new(name, "p")).with_choice(Choice::Strongest);
        asker.allocate(&mut server, now);
        let Some(ServerEvent::RelayOpened { username, .. }) = server.poll_event() else {
            panic!("an allocation");
        };
        assert_eq!(&*username, name);
        let shown = format!("{:?} {server:?}", server.stats());
        assert!(name == "-" || !shown.contains(name), "{shown}");
    }
}

/// Attack 36: 763 bytes of anything are a name, looked up as it is; what is longer is none. A realm is
/// compared, and that is all.
#[test]
fn names_and_realms_beyond_all_bounds_open_nothing() {
    let (mut server, now) = server_with(config_with(Remote));
    let mut asker = Asker::new();
    let first = asker.message(Method::ALLOCATE, &|b| udp(b));
    let challenge = asker.tell(&mut server, now, &first).unwrap();
    let Nonce(nonce) = challenge.message().get().unwrap().unwrap();
    let long = "\n%'".repeat(254) + "\0";
    let request = |name: &str, realm: &str| {
        let mut buffer = vec![0; 4096];
        let kind = MessageType::new(Class::Request, Method::ALLOCATE);
        let len = udp(Builder::new(&mut buffer, kind, TransactionId([9; 12])))
            .with_raw(AttributeType::USERNAME, name.as_bytes())
            .with_raw(AttributeType::REALM, realm.as_bytes())
            .with(&Nonce(nonce))
            .with_integrity(&key())
            .finish();
        buffer.truncate(len.unwrap());
        buffer
    };
    let (input, _) = feed(&mut server, now, asker.path, &request(&long, REALM));
    assert_eq!(input, Input::Handled);
    let looked_up = wanted(&mut server).unwrap();
    assert_eq!(looked_up.name.as_deref(), Ok(&*long));
    let longer = request(&(long.clone() + "x"), REALM);
    let answer = asker.tell(&mut server, now, &longer).unwrap();
    assert_eq!((answer.code(), wanted(&mut server)), (400, None));
    assert!(answer.0.len() < 100, "{} bytes", answer.0.len());

    let (input, _) = feed(&mut server, now, asker.path, &request(USER, &long));
    assert_eq!(input, Input::Handled);
    let ticket = wanted(&mut server).unwrap().ticket;
    let user = User { id: 1, key: key() };
    server.answer_user(now, ticket, Some(user));
    let answer = Answer(server.poll_transmit().unwrap().payload.to_vec());
    assert_eq!((answer.code(), server.allocations()), (401, 0));
    assert!(answer.0.len() < 200, "{} bytes", answer.0.len());
}

// ---- tokens --------------------------------------------------------------------------------

#[cfg(feature = "third-party")]
mod tokens {
    use super::*;
    use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
    use floe_turn::{ThirdParty, TokenKey};
    use proptest::collection::vec;
    use proptest::prelude::*;

    const NAME: &str = "turn1@example.com";
    const KID: &str = "22BIjxU93h/IgwEb";
    const SECRET: [u8; 32] = [0x42; 32];
    const SESSION: [u8; 20] = [0x17; 20];

    /// A token as the authorization server makes it (RFC 7635 §6.2).
    struct Sealed {
        nonce: Vec<u8>,
        /// Instead of the length of the nonce.
        nonce_length: Option<u16>,
        key: Vec<u8>,
        /// Instead of the length of the key.
        key_length: Option<u16>,
        /// Unix time.
        timestamp: Duration,
        lifetime: u32,
        server: &'static str,
        secret: [u8; 32],
    }

    impl Sealed {
        fn new(now: Instant) -> Self {
            Self {
                nonce: vec![3; 12],
                nonce_length: None,
                key: SESSION.to_vec(),
                key_length: None,
                timestamp: EPOCH + Duration::from_nanos(now.as_nanos()),
                lifetime: 1000,
                server: NAME,
                secret: SECRET,
            }
        }

        fn bytes(&self) -> Vec<u8> {
            let mut block = (self.key_length.unwrap_or(self.key.len() as u16))
                .to_be_bytes()
                .to_vec();
            block.extend(&self.key);
            let fraction = u64::from(self.timestamp.subsec_nanos()) * 64 / 1_000_000;
            let timestamp = self.timestamp.as_secs() << 16 | fraction;
            block.extend(timestamp.to_be_bytes());
            block.extend(self.lifetime.to_be_bytes());
            let mut token = seal(&self.nonce, self.server, &self.secret, block);
            let length = self.nonce_length.unwrap_or(self.nonce.len() as u16);
            token[..2].copy_from_slice(&length.to_be_bytes());
            token
        }
    }

    fn seal(nonce: &[u8], server: &str, secret: &[u8; 32], mut block: Vec<u8>) -> Vec<u8> {
        let cipher = Aes256Gcm::new(&(*secret).into());
        let mut padded = [0; 12];
        let length = nonce.len().min(12);
        padded[..length].copy_from_slice(&nonce[..length]);
        let (padded, name) = (padded.into(), server.as_bytes());
        let tag = cipher
            .encrypt_inout_detached(&padded, name, block.as_mut_slice().into())
            .unwrap();
        let mut token = (nonce.len() as u16).to_be_bytes().to_vec();
        token.extend(nonce);
        token.extend(block);
        token.extend(tag.as_slice());
        token
    }

    fn config() -> ServerConfig {
        let mut config = server_config();
        config.third_party = Some(ThirdParty {
            server_name: NAME.into(),
            keys: vec![TokenKey {
                kid: KID.into(),
                key: SECRET,
                user: 1 << 40,
            }],
            epoch: EPOCH,
        });
        config
    }

    /// A client with a token.
    struct Bearer {
        asker: Asker,
        kid: &'static str,
        token: Vec<u8>,
        key: Key,
        nonce: String,
        id: u8,
    }

    impl Bearer {
        fn new(server: &mut Server, now: Instant, token: &[u8]) -> Self {
            let mut asker = Asker::new();
            let first = asker.message(Method::ALLOCATE, &|b| udp(b));
            let challenge = asker.tell(server, now, &first).unwrap();
            assert_eq!(challenge.code(), 401);
            let message = challenge.message();
            assert_eq!(message.get().unwrap(), Some(ThirdPartyAuthorization(NAME)));
            let Nonce(nonce) = message.get().unwrap().unwrap();
            Self {
                asker,
                kid: KID,
                token: token.to_vec(),
                key: Key::new(&SESSION),
                nonce: nonce.to_owned(),
                id: 0,
            }
        }

        fn ask(
            &mut self,
            server: &mut Server,
            now: Instant,
            method: Method,
            build: impl for<'b> Fn(Builder<'b>) -> Builder<'b>,
        ) -> Answer {
            self.id += 1;
            let mut buffer = [0; 1500];
            let kind = MessageType::new(Class::Request, method);
            let builder = Builder::new(&mut buffer, kind, TransactionId([self.id; 12]));
            let carries = matches!(method, Method::ALLOCATE | Method::REFRESH);
            let len = build(builder)
                .with(&Username(self.kid))
                .with(&Realm(REALM))
                .with(&Nonce(&self.nonce))
                .with_some(carries.then_some(AccessToken(&self.token)).as_ref())
                .with_integrity(&self.key)
                .finish()
                .unwrap();
            let answer = self.asker.tell(server, now, &buffer[..len]).unwrap();
            if answer.code() == 0 {
                assert!(answer.message().verify(&self.key, Algorithm::Sha1));
            }
            answer
        }
    }

    /// RFC 7635 §7, §9.
    #[test]
    fn a_token_opens_an_allocation_and_its_session_serves_it() {
        let (mut server, now) = server_with(config());
        let mut bearer = Bearer::new(&mut server, now, &Sealed::new(now).bytes());
        let answer = bearer.ask(&mut server, now, Method::ALLOCATE, udp);
        assert_eq!((answer.code(), answer.lifetime()), (0, 600));
        let permit = bearer.ask(&mut server, now, Method::CREATE_PERMISSION, |b| {
            b.with(&XorPeerAddress(peer()))
        });
        assert_eq!(permit.code(), 0);
        let refresh = bearer.ask(&mut server, now, Method::REFRESH, |b| {
            b.with(&Lifetime(3600))
        });
        // 1000 s and 5 for the clocks.
        assert_eq!((refresh.code(), refresh.lifetime()), (0, 1005));
        // With another session it is a stranger, and the user with a password is another.
        bearer.key = Key::new(&[9; 20]);
        let permit = bearer.ask(&mut server, now, Method::CREATE_PERMISSION, |b| {
            b.with(&XorPeerAddress(peer()))
        });
        assert_eq!(permit.code(), 401);
        assert_eq!(Asker::new().permit(&mut server, now, peer()), 441);
    }

    /// RFC 7635 §9: a new token goes on with the old allocation.
    #[test]
    fn a_new_token_refreshes_what_an_old_one_has_made() {
        let (mut server, now) = server_with(config());
        let mut bearer = Bearer::new(&mut server, now, &Sealed::new(now).bytes());
        assert_eq!(
            bearer.ask(&mut server, now, Method::ALLOCATE, udp).code(),
            0
        );
        let later = now + secs(500);
        let mut sealed = Sealed::new(later);
        sealed.key = vec![0x55; 32];
        bearer.token = sealed.bytes();
        bearer.key = Key::new(&sealed.key);
        let answer = bearer.ask(&mut server, later, Method::REFRESH, |b| b);
        assert_eq!((answer.code(), answer.lifetime()), (0, 600));
        let permit = bearer.ask(&mut server, later, Method::CREATE_PERMISSION, |b| {
            b.with(&XorPeerAddress(peer()))
        });
        assert_eq!(permit.code(), 0, "by the new session");
    }

    /// Attack 34, and RFC 7635 §7.
    /// req: TURN-7.2-3
    #[test]
    fn a_token_that_is_not_good_opens_nothing() {
        type Change = fn(&mut Sealed);
        let changes: [(&str, Change); 13] = [
            ("nonce of 0", |it| it.nonce.clear()),
            ("nonce of 11", |it| it.nonce.truncate(11)),
            ("nonce of 13", |it| it.nonce.push(1)),
            ("nonce length 65535", |it| it.nonce_length = Some(0xFFFF)),
            ("nonce length 11", |it| it.nonce_length = Some(11)),
            ("empty key", |it| it.key.clear()),
            ("key too long", |it| it.key = vec![1; 65]),
            ("key length beyond", |it| it.key_length = Some(0xFFFF)),
            ("key length short", |it| it.key_length = Some(19)),
            ("another server", |it| it.server = "turn2@example.com"),
            ("another key", |it| it.secret[31] ^= 1),
            ("too old", |it| it.timestamp -= Duration::from_secs(1005)),
            ("too new", |it| it.timestamp += Duration::from_secs(1005)),
        ];
        let (mut server, now) = server_with(config());
        for (what, change) in changes {
            let mut sealed = Sealed::new(now);
            change(&mut sealed);
            let mut bearer = Bearer::new(&mut server, now, &sealed.bytes());
            let answer = bearer.ask(&mut server, now, Method::ALLOCATE, udp);
            assert_eq!(answer.code(), 401, "{what}");
        }
        let good = Sealed::new(now).bytes();
        for cut in 0..good.len() {
            let mut bearer = Bearer::new(&mut server, now, &good[..cut]);
            let answer = bearer.ask(&mut server, now, Method::ALLOCATE, udp);
            assert_eq!(answer.code(), 401, "cut to {cut}");
            let mut changed = good.clone();
            changed[cut] ^= 1;
            let mut bearer = Bearer::new(&mut server, now, &changed);
            let answer = bearer.ask(&mut server, now, Method::ALLOCATE, udp);
            assert_eq!(answer.code(), 401, "changed at {cut}");
        }
        let mut bearer = Bearer::new(&mut server, now, &good);
        bearer.kid = "another";
        assert_eq!(
            bearer.ask(&mut server, now, Method::ALLOCATE, udp).code(),
            401
        );
        let mut bearer = Bearer::new(&mut server, now, &[1; 500]);
        assert_eq!(
            bearer.ask(&mut server, now, Method::ALLOCATE, udp).code(),
            401
        );
        assert_eq!(server.allocations(), 0);
        let mut sealed = Sealed::new(now);
        sealed.timestamp -= Duration::from_secs(1004);
        let mut bearer = Bearer::new(&mut server, now, &sealed.bytes());
        let answer = bearer.ask(&mut server, now, Method::ALLOCATE, udp);
        assert_eq!((answer.code(), answer.lifetime()), (0, 1), "just good");
    }

    proptest! {
        /// Attack 34: any bytes for a token, and any bytes that the right key has sealed: nothing panics,
        /// and what opens is a key of a sane length, for as long as it says.
        #[test]
        fn any_token_opens_what_is_in_it_or_nothing(
            bytes in vec(any::<u8>(), 0..200),
            block in vec(any::<u8>(), 0..100),
            key in vec(any::<u8>(), 0..70),
            lifetime: u32,
        ) {
            let (mut server, now) = server_with(config());
            let mut bearer = Bearer::new(&mut server, now, &bytes);
            let answer = bearer.ask(&mut server, now, Method::ALLOCATE, udp);
            prop_assert_eq!(answer.code(), 401);
            bearer.token = seal(&[3; 12], NAME, &SECRET, block);
            let answer = bearer.ask(&mut server, now, Method::ALLOCATE, udp);
            prop_assert_eq!(answer.code(), 401);
            let mut sealed = Sealed::new(now);
            (sealed.key, sealed.lifetime) = (key, lifetime);
            bearer.token = sealed.bytes();
            bearer.key = Key::new(&sealed.key);
            let answer = bearer.ask(&mut server, now, Method::ALLOCATE, udp);
            let opens = (16..=64).contains(&sealed.key.len());
            prop_assert_eq!(answer.code(), if opens { 0 } else { 401 });
            if opens {
                prop_assert_eq!(answer.lifetime(), lifetime.saturating_add(5).min(600));
            }
        }
    }

    /// Attack 34: who has no nonce of ours makes nobody open anything.
    #[test]
    fn a_token_without_a_nonce_is_stale() {
        let (mut server, now) = server_with(config());
        let mut bearer = Bearer::new(&mut server, now, &Sealed::new(now).bytes());
        bearer.nonce = "made up".into();
        assert_eq!(
            bearer.ask(&mut server, now, Method::ALLOCATE, udp).code(),
            438
        );
    }

    /// Where nobody vouches, nobody is told so, and a token is an attribute that is not understood.
    #[test]
    fn without_a_third_party_a_token_means_nothing() {
        let (mut server, now) = server();
        let mut asker = Asker::new();
        let first = asker.message(Method::ALLOCATE, &|b| udp(b));
        let challenge = asker.tell(&mut server, now, &first).unwrap();
        let offered = challenge.message().get::<ThirdPartyAuthorization<'_>>();
        assert_eq!(offered, Ok(None));
        let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
            udp(b).with(&AccessToken(b"token"))
        });
        assert_eq!(answer.code(), 420);
    }
}
