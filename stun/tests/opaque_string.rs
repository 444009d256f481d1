//! Preparation of user names, realms and passwords: `OpaqueString` (RFC 8265) and `SASLprep` (RFC 4013).

use floe_stun::{PrepareErrorKind, Profile};

const PROFILES: [Profile; 3] = [
    Profile::OpaqueString,
    Profile::SaslPrepStored,
    Profile::SaslPrepQuery,
];

fn prepare(profile: Profile, text: &str) -> Result<String, PrepareErrorKind> {
    let prepared = profile.prepare(text).map_err(|error| error.kind)?;
    Ok(prepared.as_str().into())
}

#[cfg(feature = "unicode")]
fn opaque(text: &str) -> Result<String, PrepareErrorKind> {
    prepare(Profile::OpaqueString, text)
}

/// req: OPAQUE-4.1-1
#[test]
fn empty_text_is_refused() {
    let error = Profile::OpaqueString.prepare("").unwrap_err();
    assert_eq!((error.kind, error.offset), (PrepareErrorKind::Empty, 0));
    assert_eq!(error.to_string(), "empty text (at byte 0)");
}

#[test]
fn printable_ascii_is_prepared_as_it_stands() {
    let all: String = (' '..='~').collect();
    for profile in PROFILES {
        assert_eq!(prepare(profile, &all), Ok(all.clone()));
    }
}

/// req: OPAQUE-4.2.1-1, SASLPREP-2.3-1
#[test]
fn ascii_controls_are_refused() {
    for profile in PROFILES {
        for control in ('\0'..' ').chain(['\u{7F}']) {
            let error = profile.prepare(&format!("ab{control}")).unwrap_err();
            assert_eq!(error.kind, PrepareErrorKind::Disallowed);
            assert_eq!(error.offset, 2);
        }
    }
}

#[test]
fn prepared_text_does_not_print() {
    let prepared = Profile::OpaqueString.prepare("secret").unwrap();
    assert_eq!(format!("{prepared:?}"), "Prepared(..)");
}

#[test]
fn nothing_is_allocated_for_ascii_nor_to_refuse_a_character() {
    let info = allocation_counter::measure(|| {
        for profile in PROFILES {
            assert!(profile.prepare("correct horse battery staple").is_ok());
            assert!(profile.prepare("e\u{301}\u{E000}").is_err());
        }
    });
    assert_eq!(info.count_total, 0);
}

#[cfg(not(feature = "unicode"))]
#[test]
fn without_tables_what_is_not_ascii_is_refused_and_the_error_says_so() {
    for profile in PROFILES {
        let error = profile.prepare("pässword").unwrap_err();
        assert_eq!((error.kind, error.offset), (PrepareErrorKind::NoTables, 1));
    }
}

#[cfg(feature = "unicode")]
mod unicode {
    use floe_stun::PrepareError;
    use proptest::prelude::*;

    use super::*;

    fn same(text: &str) {
        assert_eq!(opaque(text), Ok(text.into()), "{text:?}");
    }

    fn refused(profile: Profile, text: &str, kind: PrepareErrorKind, offset: usize) {
        let expected = PrepareError { kind, offset };
        assert_eq!(profile.prepare(text), Err(expected), "{text:?}");
    }

    /// req: OPAQUE-4.2.1-1
    #[test]
    fn only_characters_of_the_freeform_class_are_allowed() {
        use PrepareErrorKind::{Disallowed, Unassigned};
        let table = [
            ('\u{80}', Disallowed),     // control
            ('\u{AD}', Disallowed),     // soft hyphen: default ignorable
            ('\u{34F}', Disallowed),    // grapheme joiner: default ignorable
            ('\u{640}', Disallowed),    // tatweel: exception
            ('\u{1100}', Disallowed),   // old Hangul jamo
            ('\u{200B}', Disallowed),   // zero width space: format
            ('\u{2028}', Disallowed),   // line separator
            ('\u{202E}', Disallowed),   // override: format
            ('\u{3164}', Disallowed),   // Hangul filler: default ignorable
            ('\u{E000}', Disallowed),   // private use
            ('\u{FDD0}', Disallowed),   // not a character
            ('\u{FE0F}', Disallowed),   // variation selector: default ignorable
            ('\u{10FFFF}', Disallowed), // not a character
            ('\u{378}', Unassigned),
            ('\u{50000}', Unassigned),
        ];
        for (c, kind) in table {
            refused(Profile::OpaqueString, &format!("é{c}a"), kind, 2);
        }
        // A surrogate never gets so far: `str` cannot hold one.
        assert!(String::from_utf8(vec![0xED, 0xA0, 0x80]).is_err());
        for allowed in [
            "ß", "ς", "€", "™", "Ⅸ", "ª", "日本", "한", "🔑", "½", "«»", "ﷺ",
        ] {
            same(allowed);
        }
    }

    /// req: OPAQUE-4.2.1-1
    #[test]
    fn some_characters_are_allowed_in_their_context_only() {
        let holds = [
            "l\u{B7}l",                        // Catalan
            "\u{375}α",                        // Greek numeral
            "א\u{5F3}",                        // geresh
            "א\u{5F4}",                        // gershayim
            "ア\u{30FB}",                      // Katakana dot
            "漢\u{30FB}",                      //
            "\u{661}\u{662}",                  // Arabic-Indic digits
            "\u{6F1}\u{6F2}",                  // the extended ones
            "क\u{94D}\u{200D}",                // joiner behind a virama
            "क\u{94D}\u{200C}ष",               // non-joiner behind a virama
            "ن\u{200C}م",                      // non-joiner between letters that join
            "ن\u{64E}\u{200C}\u{64B}\u{64E}ا", // … and marks
        ];
        for text in holds {
            same(text);
        }
        let broken = [
            ("l\u{B7}L", 1),
            ("\u{B7}l", 0),
            ("\u{375}a", 0),
            ("a\u{5F3}", 1),
            ("\u{5F4}", 0),
            ("a\u{30FB}b", 1),
            ("\u{661}\u{6F1}", 0),
            ("\u{200D}", 0),
            ("क\u{200D}", 3),
            ("a\u{200C}b", 1),
            ("د\u{200C}م", 2), // joins to the right only
            ("ن\u{200C}", 2),
        ];
        for (text, offset) in broken {
            refused(
                Profile::OpaqueString,
                text,
                PrepareErrorKind::Context,
                offset,
            );
        }
    }

    /// A context must hold in the result too, or preparing twice would refuse what once allowed.
    ///
    /// req: OPAQUE-4.2.1-1, OPAQUE-4.2.2-1
    #[test]
    fn a_context_that_normalisation_destroys_is_refused() {
        let kind = PrepareErrorKind::Context;
        // l and an acute compose.
        refused(Profile::OpaqueString, "l\u{B7}l\u{301}", kind, 1);
        // The dot of ano teleia is canonically the Catalan one.
        refused(Profile::OpaqueString, "α\u{387}", kind, 2);
        assert_eq!(opaque("l\u{387}l"), Ok("l\u{B7}l".into()));
        // A mark of Hebrew moves in front of one that is not.
        refused(Profile::OpaqueString, "א\u{301}\u{5B0}\u{5F3}", kind, 6);
    }

    /// req: OPAQUE-4.2.2-1, OPAQUE-4.2.2-2, OPAQUE-4.2.2-3, OPAQUE-4.2.2-4, OPAQUE-4.2.2-5
    #[test]
    fn the_rules_are_applied_and_no_others() {
        let table = [
            // No width mapping.
            ("\u{FF21}\u{FF71}", "\u{FF21}\u{FF71}"),
            // Spaces, all of category Zs.
            ("a\u{A0}b\u{3000}c", "a b c"),
            ("\u{1680}\u{2000}\u{2009}\u{200A}\u{202F}\u{205F}", "      "),
            // No case mapping.
            ("Äß\u{130}", "Äß\u{130}"),
            // NFC, and not NFKC.
            ("e\u{301}", "\u{E9}"),
            ("\u{212B}\u{2126}", "ÅΩ"),
            ("e\u{301}\u{327}", "\u{229}\u{301}"),
            ("\u{AA}\u{2168}\u{FB01}", "\u{AA}\u{2168}\u{FB01}"),
            (
                "e\u{301}\u{AA}\u{2168}\u{FB01}",
                "\u{E9}\u{AA}\u{2168}\u{FB01}",
            ),
            // All of it also where something changes.
            ("\u{FF21}ÄE\u{301}", "\u{FF21}Ä\u{C9}"),
            // No rule of direction.
            ("\u{627}1", "\u{627}1"),
            ("a\u{5D0}b", "a\u{5D0}b"),
            // Spaces first, so that a mark follows U+0020; then NFC.
            ("\u{3000}\u{301}u\u{308}", " \u{301}ü"),
        ];
        for (given, expected) in table {
            assert_eq!(opaque(given), Ok(expected.into()), "{given:?}");
        }
        // The class is looked at first: NFC would compose these two into an allowed syllable.
        let jamo = "\u{1100}\u{1161}";
        refused(Profile::OpaqueString, jamo, PrepareErrorKind::Disallowed, 0);
    }

    /// req: OPAQUE-4.2.2-6, OPAQUE-4.2.3-1
    #[test]
    fn only_prepared_text_compares_and_octet_for_octet() {
        let prepared = |text| Profile::OpaqueString.prepare(text).unwrap();
        assert_eq!(prepared("cafe\u{301}"), prepared("caf\u{E9}"));
        assert_eq!(prepared("a\u{A0}b"), prepared("a b"));
        assert_ne!(prepared("USER"), prepared("user"));
        assert_ne!(prepared("user "), prepared("user"));
        assert_ne!(prepared("\u{2168}"), prepared("IX"));
        // Nothing but `Profile::prepare` makes prepared text: see the doctest of `Prepared`.
        assert_ne!(prepared("e\u{301}").as_str(), "e\u{301}");
    }

    /// RFC 8489 appendix B.1 says that `OpaqueString` makes `TheMatrIX` of this password. `SASLprep`
    /// does; `OpaqueString` neither drops the soft hyphen nor maps the other two.
    ///
    /// req: OPAQUE-4.2.1-1, SASLPREP-2.1-1, SASLPREP-2.2-1
    #[test]
    fn the_password_of_appendix_b1_is_that_of_saslprep() {
        let password = "The\u{AD}M\u{AA}tr\u{2168}";
        refused(
            Profile::OpaqueString,
            password,
            PrepareErrorKind::Disallowed,
            3,
        );
        for profile in [Profile::SaslPrepStored, Profile::SaslPrepQuery] {
            assert_eq!(prepare(profile, password), Ok("TheMatrIX".into()));
        }
    }

    /// The examples of RFC 4013 §3, and the tables behind them.
    ///
    /// req: SASLPREP-2.1-1, SASLPREP-2.2-1
    #[test]
    fn saslprep_maps_and_normalises() {
        let table = [
            ("I\u{AD}X", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u{AA}", "a"),
            ("\u{2168}", "IX"),
            // Spaces; the zero width space is one of them here.
            ("a\u{A0}b\u{3000}c\u{1680}\u{200B}d", "a b c  d"),
            // Mapped to nothing.
            (
                "a\u{34F}\u{1806}\u{180B}\u{200C}\u{200D}\u{2060}\u{FE00}\u{FEFF}b",
                "ab",
            ),
            // What stands on both sides of a dropped character composes.
            ("e\u{AD}\u{301}", "\u{E9}"),
            // Prohibited as input, not as output: NFKC replaces the tone mark.
            ("a\u{340}", "\u{E0}"),
            ("", ""),
            ("\u{AD}", ""),
        ];
        for (given, expected) in table {
            for profile in [Profile::SaslPrepStored, Profile::SaslPrepQuery] {
                assert_eq!(prepare(profile, given), Ok(expected.into()), "{given:?}");
            }
        }
    }

    /// req: SASLPREP-2.3-1
    #[test]
    fn saslprep_prohibits() {
        let table = [
            '\u{80}',
            '\u{6DD}',
            '\u{180E}',
            '\u{2028}',
            '\u{206A}',
            '\u{1D173}', // C.2.2
            '\u{E000}',
            '\u{F0000}',
            '\u{10FFFD}', // C.3
            '\u{FDD0}',
            '\u{FFFE}',
            '\u{1FFFF}', // C.4
            '\u{FFF9}',
            '\u{FFFD}', // C.6
            '\u{2FF0}', // C.7
            '\u{200E}',
            '\u{202E}', // C.8
            '\u{E0001}',
            '\u{E0020}', // C.9
        ];
        for c in table {
            for profile in [Profile::SaslPrepStored, Profile::SaslPrepQuery] {
                let kind = PrepareErrorKind::Disallowed;
                refused(profile, &format!("\u{AD}é{c}a"), kind, 4);
            }
        }
    }

    /// req: SASLPREP-2.4-1
    #[test]
    fn saslprep_does_not_mix_directions() {
        for text in ["\u{627}1\u{628}", "\u{5D0}", "\u{627} \u{628}", "12"] {
            assert_eq!(prepare(Profile::SaslPrepStored, text), Ok(text.into()));
        }
        for (text, offset) in [
            ("\u{627}1", 0),        // the last is no letter of that kind
            ("1\u{627}", 1),        // the first is none
            ("\u{627}a\u{628}", 0), // a letter from left to right
            ("a\u{AD}\u{627}", 3),  //
            ("\u{2135}a", 0),       // the alef of mathematics, after NFKC
        ] {
            let kind = PrepareErrorKind::Bidirectional;
            refused(Profile::SaslPrepStored, text, kind, offset);
        }
    }

    /// req: SASLPREP-2.5-1
    #[test]
    fn saslprep_refuses_to_store_what_unicode_3_2_did_not_know_and_compares_it_as_it_is() {
        // U+0221 came with Unicode 4.0, U+1D2C (which has a compatibility mapping today) too.
        for unknown in ["\u{221}", "\u{1D2C}", "🔑", "\u{378}"] {
            let text = format!("\u{AA}{unknown}\u{2168}");
            refused(
                Profile::SaslPrepStored,
                &text,
                PrepareErrorKind::Unassigned,
                2,
            );
            let expected = format!("a{unknown}IX");
            assert_eq!(prepare(Profile::SaslPrepQuery, &text), Ok(expected));
        }
    }

    /// Any text, but mostly of characters with a rule of their own.
    fn any_text() -> impl Strategy<Value = String> {
        let special = "lα·\u{387}\u{301}\u{327}\u{5D0}\u{5F3}\u{5B0}\u{627}1\u{661}\u{6F1}\u{200C}\
            \u{200D}\u{94D}क\u{628}\u{30FB}ア漢\u{375}\u{212B}한\u{FB1D}\u{2135}\u{3000}\u{A0}\u{AD}\
            \u{200B}\u{FDFA}\u{1EE00}\u{64B}\u{323}\u{221}🔑e";
        let special = proptest::sample::select(special.chars().collect::<Vec<_>>());
        let character = prop_oneof![4 => special, 1 => any::<char>()];
        proptest::collection::vec(character, 0..12).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        /// req: OPAQUE-4.2.3-1
        #[test]
        fn preparing_twice_is_preparing_once(text in any_text()) {
            for profile in PROFILES {
                if let Ok(once) = profile.prepare(&text) {
                    prop_assert_eq!(profile.prepare(once.as_str()), Ok(once.clone()));
                }
            }
        }

        #[test]
        fn the_result_is_bounded_and_an_error_points_at_a_character(text in any_text()) {
            for (profile, factor) in PROFILES.into_iter().zip([3, 11, 11]) {
                match profile.prepare(&text) {
                    Ok(prepared) => prop_assert!(prepared.as_str().len() <= factor * text.len()),
                    Err(error) if text.is_empty() => {
                        prop_assert_eq!(error.kind, PrepareErrorKind::Empty);
                    }
                    Err(error) => {
                        prop_assert!(error.offset < text.len());
                        prop_assert!(text.is_char_boundary(error.offset));
                    }
                }
            }
        }
    }

    /// Work, not time, would be the better measure; these inputs take minutes where it is quadratic.
    #[test]
    fn a_mebibyte_of_one_character_is_no_trouble() {
        for unit in [
            "\u{30FB}",
            "\u{301}",
            "ن\u{200C}",
            "\u{200C}\u{64E}",
            "\u{661}",
            "\u{FDFA}",
            "l·",
        ] {
            let text = unit.repeat((1 << 20) / unit.len());
            for profile in PROFILES {
                let _ = profile.prepare(&text);
            }
            let _ = Profile::OpaqueString.prepare(&("ア".to_string() + &text + "\u{301}\u{327}"));
        }
    }
}
