//! Where servers find the keys of their users.

use std::time::Duration;

use floe_sansio::Instant;
use floe_stun::{
    Answer, Builder, Checked, Class, Credentials, ErrorCode, KeyDerivation, LongTermClient,
    LongTermConfig, LongTermServer, Message, MessageType, Method, Query, Refusal, StaticUsers,
    StatusCode, TimeLimitedUsers, TransactionId, User, UserHash, UserName, Users,
};

const NOW: Instant = Instant::from_secs(100);
/// Unix time of the epoch of the machines.
const EPOCH: Duration = Duration::from_secs(1_800_000_000);
const ID: TransactionId = TransactionId([7; 12]);
const REALM: &str = "floe.test";

fn query(name: UserName<'_>, derivation: KeyDerivation) -> Query<'_> {
    Query {
        now: NOW,
        realm: REALM,
        name,
        derivation,
    }
}

fn found(users: &impl Users, name: &str) -> Option<u64> {
    match users.find(&query(UserName::Plain(name), KeyDerivation::Sha256)) {
        Answer::Known(User { id, .. }) => Some(id),
        _ => None,
    }
}

fn time_limited() -> TimeLimitedUsers {
    TimeLimitedUsers::new("north", EPOCH, Duration::from_secs(86_400))
}

/// A whole exchange: challenge, request, check.
fn authenticate(users: &impl Users, credentials: Credentials) -> Result<Checked<'static>, Refusal> {
    let source = "192.0.2.1:5000".parse().unwrap();
    let mut config = LongTermConfig::new(REALM);
    config.algorithms = vec![KeyDerivation::Sha256];
    let server = LongTermServer::new(&config, [1; 32], NOW);
    let mut client = LongTermClient::new(credentials);
    let mut buffer = [0; 512];
    let error = MessageType::new(Class::Error, Method::BINDING);
    let builder =
        Builder::new(&mut buffer, error, ID).with(&ErrorCode::of(StatusCode::UNAUTHENTICATED));
    let len = server
        .with_challenge(builder, NOW, source)
        .finish()
        .unwrap();
    let challenge = Message::parse(&buffer[..len]).unwrap();
    client.challenge(&challenge, false).unwrap();
    let request = MessageType::new(Class::Request, Method::BINDING);
    let mut buffer = [0; 512];
    let len = client
        .authenticate(Builder::new(&mut buffer, request, ID))
        .finish()
        .unwrap();
    let request = Message::parse(&buffer[..len]).unwrap();
    match server.check(NOW, source, &request, users)? {
        Checked::Authenticated { id, seal } => Ok(Checked::Authenticated { id, seal }),
        Checked::Later(claim) => {
            // The owner finds the user in the end, or not.
            assert_eq!(claim.derivation, KeyDerivation::Sha256);
            let users = StaticUsers::new(REALM, &[Credentials::new("alice", "wonderland")]);
            let Answer::Known(user) = users.find(&query(claim.name, claim.derivation)) else {
                return Err(server.verify(&request, &claim, None).unwrap_err());
            };
            let (id, seal) = server.verify(&request, &claim, Some(user))?;
            Ok(Checked::Authenticated { id, seal })
        }
    }
}

fn id(checked: Result<Checked<'_>, Refusal>) -> Result<u64, Refusal> {
    match checked? {
        Checked::Authenticated { id, .. } => Ok(id),
        Checked::Later(claim) => panic!("{claim:?}"),
    }
}

#[test]
fn a_list_finds_users_by_name_and_by_hash() {
    let list = [Credentials::new("alice", "a"), Credentials::new("bob", "b")];
    let users = StaticUsers::new(REALM, &list);
    assert_eq!((users.len(), users.is_empty()), (2, false));
    assert_eq!(found(&users, "bob"), Some(1));
    assert_eq!(found(&users, "carol"), None);
    for derivation in [KeyDerivation::Md5, KeyDerivation::Sha256] {
        let by_hash = query(UserName::Hash(UserHash::of("bob", REALM)), derivation);
        assert!(matches!(
            users.find(&by_hash),
            Answer::Known(User { id: 1, .. })
        ));
    }
    let other_realm = query(
        UserName::Hash(UserHash::of("bob", "other")),
        KeyDerivation::Md5,
    );
    assert!(matches!(users.find(&other_realm), Answer::Unknown));
    assert!(!format!("{users:?}").contains("alice"));
}

#[test]
fn the_owner_may_answer_later() {
    struct Elsewhere;
    impl Users for Elsewhere {
        fn find(&self, _: &Query<'_>) -> Answer {
            Answer::Later
        }
    }
    let alice = Credentials::new("alice", "wonderland");
    assert_eq!(id(authenticate(&Elsewhere, alice)), Ok(0));
    for wrong in [
        Credentials::new("alice", "guess"),
        Credentials::new("bob", "wonderland"),
    ] {
        let checked = id(authenticate(&Elsewhere, wrong));
        assert_eq!(checked, Err(Refusal::Unauthenticated));
    }
}

/// The password is the one that every REST credential service computes; this one with
/// `printf '1800003600:alice' | openssl dgst -sha1 -hmac north -binary | base64`.
#[test]
fn time_limited_credentials_are_those_of_other_services() {
    let end = EPOCH + Duration::from_secs(3600);
    let credentials = time_limited().issue("alice", end);
    assert_eq!(credentials.username, "1800003600:alice");
    assert_eq!(
        credentials.password.expose(),
        include_str!("data/rest-password.txt").trim()
    );
    let users = time_limited();
    let alice = id(authenticate(&users, credentials)).unwrap();
    // The user is what stands behind the colon, whenever the credentials end.
    let later = time_limited().issue("alice", end + Duration::from_secs(1));
    assert_eq!(id(authenticate(&users, later)), Ok(alice));
    let bob = time_limited().issue("bob", end);
    assert_ne!(id(authenticate(&users, bob)), Ok(alice));
    let foreign = TimeLimitedUsers::new("south", EPOCH, Duration::MAX).issue("alice", end);
    assert_eq!(
        id(authenticate(&users, foreign)),
        Err(Refusal::Unauthenticated)
    );
    assert!(!format!("{users:?}").contains("north"));
}

#[test]
fn user_names_that_have_ended_or_would_last_too_long_or_are_no_time_are_nobody() {
    let users = time_limited();
    // It is 1800000100 now.
    for good in [
        "1800000100:a",
        "1800000101:a",
        "1800086500:a",
        "1800000200:a:b",
    ] {
        assert!(found(&users, good).is_some(), "{good}");
    }
    for bad in [
        "1800000099:a",
        "1800086501:a",
        "0:a",
        "",
        ":",
        ":a",
        "1800000200",
        "1800000200:",
        "+1800000200:a",
        "-1800000200:a",
        " 1800000200:a",
        "1800000200.5:a",
        "0x6B49D2C8:a",
        "9223372036854775808:a",
        "18446744073709551615:a",
        "18446744073709551616:a",
        "99999999999999999999999999:a",
        "a:1800000200",
    ] {
        assert_eq!(found(&users, bad), None, "{bad}");
    }
    let hash = UserName::Hash(UserHash::of("1800000200:a", REALM));
    let answer = users.find(&query(hash, KeyDerivation::Md5));
    assert!(matches!(answer, Answer::Unknown));
}
