//! Named steps, each timed, all of them run; and the table at the end.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What has been done so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: String,
    took: Duration,
    end: End,
}

enum End {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Step {
    fn forgive(&mut self) {
        if let End::Failed(why) = &self.end {
            self.end = End::Skipped(why.clone());
        }
    }
}

impl Steps {
    /// Runs one step. A failure is kept for the end, so that one run tells all that is wrong.
    pub(crate) fn run<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        println!("\n── {name}");
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        let (end, value) = match result {
            Ok(value) => (End::Passed, Some(value)),
            Err(error) => {
                println!("✗ {name}: {error:#}");
                (End::Failed(format!("{error:#}")), None)
            }
        };
        self.done.push(Step {
            name: name.to_owned(),
            took,
            end,
        });
        value
    }

    /// Runs a step that puts in place what others need: a failure only if it `must` succeed.
    pub(crate) fn prepare<T>(
        &mut self,
        name: &str,
        must: bool,
        work: impl FnOnce() -> Result<T>,
    ) -> Option<T> {
        let value = self.run(name, work);
        if let Some(step) = self.done.last_mut().filter(|_| !must) {
            step.forgive();
        }
        value
    }

    /// Says that a step is left out.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        println!("\n── {name}\nskipped: {why}");
        self.done.push(Step {
            name: name.to_owned(),
            took: Duration::ZERO,
            end: End::Skipped(why.to_owned()),
        });
    }

    /// Prints the table.
    ///
    /// # Errors
    /// If a step failed.
    pub(crate) fn finish(self) -> Result<()> {
        println!("\n{self}");
        let failed: Vec<_> = self
            .done
            .iter()
            .filter(|step| matches!(step.end, End::Failed(_)))
            .map(|step| step.name.as_str())
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        bail!("failed: {}", failed.join(", "))
    }

    fn count(&self, is: impl Fn(&End) -> bool) -> usize {
        self.done.iter().filter(|step| is(&step.end)).count()
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .done
            .iter()
            .map(|step| step.name.chars().count())
            .max()
            .unwrap_or(0);
        for step in &self.done {
            let seconds = step.took.as_secs_f64();
            write!(f, "{:width$}  {seconds:7.1} s  ", step.name)?;
            match &step.end {
                End::Passed => writeln!(f, "passed")?,
                End::Failed(why) => writeln!(f, "FAILED  {}", first_line(why))?,
                End::Skipped(why) => writeln!(f, "skipped  {}", first_line(why))?,
            }
        }
        let total: Duration = self.done.iter().map(|step| step.took).sum();
        writeln!(f, "{:width$}  {:7.1} s", "in all", total.as_secs_f64())?;
        write!(
            f,
            "steps: {} passed, {} failed, {} skipped",
            self.count(|end| matches!(end, End::Passed)),
            self.count(|end| matches!(end, End::Failed(_))),
            self.count(|end| matches!(end, End::Skipped(_))),
        )
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::Steps;

    #[test]
    fn a_failure_does_not_stop_what_follows_and_fails_the_end() {
        let mut steps = Steps::default();
        assert_eq!(steps.run("first", || Ok(1)), Some(1));
        assert_eq!(
            steps.run("second", || Err::<(), _>(anyhow!("broken\nin detail"))),
            None
        );
        steps.skip("third", "no need");
        let table = steps.to_string();
        for part in ["FAILED  broken\n", "skipped  no need\n"] {
            assert!(table.contains(part), "{table}");
        }
        assert!(
            table.ends_with("steps: 1 passed, 1 failed, 1 skipped"),
            "{table}"
        );
        let error = steps.finish().expect_err("a step failed");
        assert_eq!(error.to_string(), "failed: second");
    }

    #[test]
    fn a_preparation_may_fail_where_it_need_not_succeed() {
        for must in [false, true] {
            let mut steps = Steps::default();
            steps.prepare("engine", must, || Err::<(), _>(anyhow!("none")));
            assert_eq!(steps.finish().is_err(), must);
        }
    }

    #[test]
    fn all_passed_is_a_success() {
        let mut steps = Steps::default();
        steps.run("only", || Ok(()));
        assert!(steps.finish().is_ok());
    }
}
