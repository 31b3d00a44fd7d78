//! The commands of the refresh token guide: printed for people, and run as printed.

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::workspace::{find, output, program};

/// A command to type, and what it shows.
struct Call {
    shows: &'static str,
    command: &'static str,
    needs_jq: bool,
    check: fn(&str) -> Result<()>,
}

const CALLS: &[Call] = &[
    Call {
        shows: "a refresh token, by way of john's password",
        command: r#"curl --user john:doe http://localhost:8000 | jq -r '.headers."Refresh-Token"'"#,
        needs_jq: true,
        check: is_a_token,
    },
    Call {
        shows: "the service called with that refresh token",
        command: r#"curl http://localhost:8000 \
--header "Refresh-Token:$(curl --user john:doe http://localhost:8000 | \
jq -r '.headers."Refresh-Token"')""#,
        needs_jq: true,
        check: is_the_upstreams_answer,
    },
    Call {
        shows: "the same without jq",
        command: r#"curl http://localhost:8000 \
--header "Refresh-Token:$(curl --user john:doe http://localhost:8000 | \
sed -n 's/.*"Refresh-Token": *"\([^"]*\)".*/\1/p')""#,
        needs_jq: false,
        check: is_the_upstreams_answer,
    },
];

/// The guide, as a text to read.
pub(crate) struct Guide;

impl fmt::Display for Guide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for call in CALLS {
            writeln!(f, "# {}", call.shows)?;
            writeln!(f, "{}\n", call.command)?;
        }
        Ok(())
    }
}

/// Runs every command through a shell, and looks at what it prints.
///
/// # Errors
/// If one does not print what the guide promises. No token is shown.
pub(crate) fn check() -> Result<()> {
    let has_jq = find("jq").is_some();
    for call in CALLS {
        if call.needs_jq && !has_jq {
            println!("skipped, as there is no jq: {}", call.shows);
            continue;
        }
        let printed =
            output(program("sh").args(["-c", call.command])).with_context(|| call.shows)?;
        (call.check)(&printed).with_context(|| call.shows)?;
        println!("checked: {}", call.shows);
    }
    Ok(())
}

fn is_a_token(printed: &str) -> Result<()> {
    let parts = printed.split('.').filter(|part| !part.is_empty()).count();
    ensure!(parts >= 3, "this is no refresh token");
    Ok(())
}

fn is_the_upstreams_answer(printed: &str) -> Result<()> {
    let answer: Value = serde_json::from_str(printed).context("the answer is no JSON")?;
    let header = |name: &str| answer["headers"][name].as_str().unwrap_or_default();
    ensure!(
        header("Authorization").starts_with("Bearer "),
        "the upstream got no access token"
    );
    is_a_token(header("Refresh-Token")).context("the upstream got none")
}

#[cfg(test)]
mod tests {
    use super::{Guide, is_a_token, is_the_upstreams_answer};

    #[test]
    fn the_guide_has_the_seeds_two_commands() {
        let guide = Guide.to_string();
        for command in [
            "\ncurl --user john:doe http://localhost:8000 | jq -r '.headers.\"Refresh-Token\"'\n",
            "\ncurl http://localhost:8000 \\\n\
             --header \"Refresh-Token:$(curl --user john:doe http://localhost:8000 | \\\n\
             jq -r '.headers.\"Refresh-Token\"')\"\n",
        ] {
            assert!(guide.contains(command), "{command}\nis not in\n{guide}");
        }
    }

    #[test]
    fn an_answer_without_the_tokens_is_no_success() {
        for (printed, good) in [
            (
                r#"{"headers":{"Authorization":"Bearer a","Refresh-Token":"a.b.c"}}"#,
                true,
            ),
            (r#"{"headers":{"Refresh-Token":"a.b.c"}}"#, false),
            (r#"{"headers":{"Authorization":"Bearer a"}}"#, false),
            (
                r#"{"headers":{"Authorization":"Basic a","Refresh-Token":"a.b.c"}}"#,
                false,
            ),
            (r#"{"message":"Unauthorized"}"#, false),
            ("", false),
        ] {
            assert_eq!(is_the_upstreams_answer(printed).is_ok(), good, "{printed}");
        }
        assert!(is_a_token("null").is_err());
    }
}
