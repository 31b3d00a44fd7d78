//! The figures that are kept in the repository, and what others are beside them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};

use super::scenario::{ALL, PLAIN, Scenario};
use crate::workspace::root;

/// What may differ, in hundredths, where another compiler or another valgrind has counted.
const BOUND_OF_OTHERS: f64 = 10.0;

/// Figures, and who has made them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Programs and their versions.
    pub(crate) made_by: BTreeMap<String, String>,
    /// Instructions, by scenario.
    pub(crate) instructions: BTreeMap<String, u64>,
}

fn path() -> PathBuf {
    root().join("docs/benchmarks/instructions.json")
}

impl Figures {
    /// Those of the repository.
    ///
    /// # Errors
    /// If there are none.
    pub(crate) fn kept() -> Result<Self> {
        let path = path();
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "{}: cannot be read; `cargo xtask instructions --update` writes it",
                path.display()
            )
        })?;
        Self::from_json(&serde_json::from_str(&text)?).context("docs/benchmarks/instructions.json")
    }

    /// Puts these in their place.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn keep(&self) -> Result<()> {
        let json = json!({"made_by": self.made_by, "instructions": self.instructions});
        fs::write(path(), format!("{json:#}\n"))?;
        Ok(())
    }

    fn from_json(json: &Value) -> Result<Self> {
        let members = |name: &str| {
            json[name]
                .as_object()
                .ok_or_else(|| anyhow!("lacks the object `{name}`"))
        };
        let texts = members("made_by")?.iter().map(|(name, value)| {
            let text = value
                .as_str()
                .with_context(|| format!("{name} is no text"))?;
            Ok((name.clone(), text.to_owned()))
        });
        let numbers = members("instructions")?.iter().map(|(name, value)| {
            let number = value
                .as_u64()
                .with_context(|| format!("{name} is no number"))?;
            Ok((name.clone(), number))
        });
        Ok(Self {
            made_by: texts.collect::<Result<_>>()?,
            instructions: numbers.collect::<Result<_>>()?,
        })
    }

    /// How often as many as nginx takes.
    pub(crate) fn of_plain(&self, name: &str) -> Option<f64> {
        let (figure, plain) = (self.instructions.get(name)?, self.instructions.get(PLAIN)?);
        Some(*figure as f64 / *plain as f64)
    }

    /// Whether the compiler and valgrind are the same.
    pub(crate) fn is_made_like(&self, other: &Self) -> bool {
        ["profile", "rustc", "valgrind"]
            .iter()
            .all(|name| self.made_by.get(*name) == other.made_by.get(*name))
    }
}

/// New figures beside the kept ones.
pub(crate) struct Comparison<'f> {
    now: &'f Figures,
    kept: &'f Figures,
    rows: Vec<Row>,
}

struct Row {
    scenario: &'static Scenario,
    now: u64,
    kept: Option<u64>,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Grown,
    Shrunk,
    New,
    /// Somebody else's program.
    Beside,
}

impl<'f> Comparison<'f> {
    /// Of what was counted now; what was not is left out.
    pub(crate) fn new(now: &'f Figures, kept: &'f Figures) -> Self {
        let is_alike = now.is_made_like(kept);
        let rows = ALL.iter().filter_map(|scenario| {
            let now = *now.instructions.get(scenario.name)?;
            let kept = kept.instructions.get(scenario.name).copied();
            let verdict = match (kept, scenario.bound) {
                (_, None) => Verdict::Beside,
                (None, Some(_)) => Verdict::New,
                (Some(kept), Some(bound)) => {
                    let bound = if is_alike {
                        bound
                    } else {
                        bound.max(BOUND_OF_OTHERS)
                    };
                    match change(now, kept) {
                        change if change > bound => Verdict::Grown,
                        change if change < -bound => Verdict::Shrunk,
                        _ => Verdict::Same,
                    }
                }
            };
            Some(Row {
                scenario,
                now,
                kept,
                verdict,
            })
        });
        Self {
            now,
            kept,
            rows: rows.collect(),
        }
    }

    fn names(&self, verdict: Verdict) -> Vec<&'static str> {
        let rows = self.rows.iter().filter(|row| row.verdict == verdict);
        rows.map(|row| row.scenario.name).collect()
    }

    /// # Errors
    /// If something takes more than is allowed, or nothing is kept of it: with what to do.
    pub(crate) fn passed(&self) -> Result<()> {
        let (grown, new) = (self.names(Verdict::Grown), self.names(Verdict::New));
        if let Some(first) = grown.first() {
            return Err(anyhow!(
                "takes more instructions than is kept: {}. \
                 `cargo xtask instructions --profile-of {first}` says where they go; \
                 if they are worth it, keep them by `cargo xtask instructions --update`",
                grown.join(", ")
            ));
        }
        if !new.is_empty() {
            return Err(anyhow!(
                "nothing is kept of {}: `cargo xtask instructions --update`",
                new.join(", ")
            ));
        }
        Ok(())
    }
}

/// In hundredths.
fn change(now: u64, kept: u64) -> f64 {
    100.0 * (now as f64 - kept as f64) / kept as f64
}

/// `197 234`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .rows
            .iter()
            .map(|row| row.scenario.name.len())
            .max()
            .unwrap_or(0);
        writeln!(
            f,
            "{:width$}  instructions        kept   change  of nginx",
            ""
        )?;
        // A machine without nginx has the kept one to compare with.
        let plain = |figures: &Figures| figures.instructions.get(PLAIN).copied();
        let plain = plain(self.now).or_else(|| plain(self.kept));
        for row in &self.rows {
            write!(f, "{:width$}  {:>12}", row.scenario.name, grouped(row.now))?;
            match row.kept {
                Some(kept) => write!(f, "{:>12}  {:>+6.1}%", grouped(kept), change(row.now, kept))?,
                None => write!(f, "{:>12}  {:>7}", "–", "–")?,
            }
            match plain {
                Some(plain) if row.scenario.name.starts_with("request-") => {
                    write!(f, "  {:>8.2}", row.now as f64 / plain as f64)?;
                }
                _ => write!(f, "  {:>8}", "")?,
            }
            match row.verdict {
                Verdict::Grown => writeln!(f, "  GROWN")?,
                Verdict::Shrunk => writeln!(f, "  shrunk")?,
                Verdict::New => writeln!(f, "  new")?,
                Verdict::Same | Verdict::Beside => writeln!(f)?,
            }
        }
        if !self.now.is_made_like(self.kept) {
            writeln!(
                f,
                "the kept figures are of another compiler, profile or valgrind: {BOUND_OF_OTHERS} % are allowed"
            )?;
        }
        if !self.names(Verdict::Shrunk).is_empty() {
            writeln!(
                f,
                "some take less than is kept: `cargo xtask instructions --update` keeps that, \
                 so that it stays"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Figures, grouped};

    fn figures(rustc: &str, instructions: &[(&str, u64)]) -> Figures {
        let owned = |(name, number): &(&str, u64)| ((*name).to_owned(), *number);
        Figures {
            made_by: [("rustc".to_owned(), rustc.to_owned())].into(),
            instructions: instructions.iter().map(owned).collect(),
        }
    }

    #[test]
    fn more_than_the_bound_above_fails_and_names_what_grew() {
        let kept = figures(
            "1",
            &[("request-no-plugin", 1000), ("extract-nothing", 1000)],
        );
        for (now, passes) in [(1000, true), (1030, true), (1031, false), (500, true)] {
            let now = figures(
                "1",
                &[("request-no-plugin", now), ("extract-nothing", 1000)],
            );
            let comparison = Comparison::new(&now, &kept);
            let table = comparison.to_string();
            match comparison.passed() {
                Ok(()) => assert!(passes, "{table}"),
                Err(error) => {
                    assert!(!passes, "{table}");
                    let error = error.to_string();
                    assert!(
                        error.contains("than is kept: request-no-plugin."),
                        "{error}"
                    );
                    assert!(table.contains("GROWN"), "{table}");
                }
            }
        }
    }

    #[test]
    fn less_than_the_bound_below_is_a_hint() {
        let kept = figures("1", &[("extract-nothing", 1000)]);
        for (now, hint) in [(970, false), (969, true)] {
            let now = figures("1", &[("extract-nothing", now)]);
            let table = Comparison::new(&now, &kept).to_string();
            assert_eq!(table.contains("--update"), hint, "{table}");
        }
    }

    #[test]
    fn signatures_and_other_compilers_have_more_room() {
        let kept = figures(
            "1",
            &[("extract-nothing", 1000), ("bearer-verified-rs256", 1000)],
        );
        for (rustc, name, now, passes) in [
            ("1", "bearer-verified-rs256", 1099, true),
            ("1", "bearer-verified-rs256", 1101, false),
            ("2", "extract-nothing", 1099, true),
            ("2", "extract-nothing", 1101, false),
        ] {
            let now = figures(rustc, &[(name, now)]);
            let passed = Comparison::new(&now, &kept).passed();
            assert_eq!(passed.is_ok(), passes, "{rustc} {name}");
        }
    }

    #[test]
    fn what_is_not_kept_yet_fails() {
        let now = figures("1", &[("extract-nothing", 1000)]);
        let none = figures("1", &[]);
        assert!(Comparison::new(&now, &none).passed().is_err());
    }

    #[test]
    fn other_programs_are_shown_and_never_fail() {
        let kept = figures("1", &[("nginx-plain", 1000), ("request-no-plugin", 2000)]);
        let now = figures("1", &[("nginx-plain", 4000), ("request-no-plugin", 2000)]);
        let comparison = Comparison::new(&now, &kept);
        assert!(comparison.passed().is_ok());
        assert!(comparison.to_string().contains("0.50"), "{comparison}");
        // Without one of our own, the kept one is taken.
        let now = figures("1", &[("request-no-plugin", 2000)]);
        let table = Comparison::new(&now, &kept).to_string();
        assert!(table.contains("2.00"), "{table}");
    }

    #[test]
    fn figures_are_read_back_as_they_were_written() {
        let figures = figures("1", &[("extract-nothing", 1000)]);
        let json = serde_json::json!({
            "made_by": figures.made_by, "instructions": figures.instructions,
        });
        assert_eq!(Figures::from_json(&json).expect("figures"), figures);
        assert!(Figures::from_json(&serde_json::json!({"made_by": {}})).is_err());
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (1234567, "1 234 567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
