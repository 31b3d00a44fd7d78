//! Where the instructions go: callgrind's figures of both runs, function by function, and the
//! difference between them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;

use super::count::Count;
use crate::workspace::{output, program};

/// How many functions are shown.
const SHOWN: usize = 40;

/// Prints the functions that take most, without and with those that they call.
///
/// # Errors
/// If callgrind's files cannot be read.
pub(crate) fn print(count: &Count) -> Result<()> {
    for (title, inclusive) in [("by themselves", "no"), ("with what they call", "yes")] {
        println!("\ninstructions each time, {title}:");
        let [first, second] = [
            functions(&count.files[0], inclusive)?,
            functions(&count.files[1], inclusive)?,
        ];
        for (each, name) in most(&first, &second, count.times).into_iter().take(SHOWN) {
            println!("{each:>9}  {name}");
        }
    }
    Ok(())
}

fn functions(file: &Path, inclusive: &str) -> Result<HashMap<String, u64>> {
    let text = output(
        program("callgrind_annotate")
            .args(["--threshold=100", "--auto=no"])
            .arg(format!("--inclusive={inclusive}"))
            .arg(file),
    )?;
    Ok(parse(&text))
}

/// Lines such as `57,249,045 (18.40%)  file:function [/path/of/object]`.
fn parse(text: &str) -> HashMap<String, u64> {
    let mut functions = HashMap::new();
    for line in text.lines() {
        let Some((number, rest)) = line.trim_start().split_once(" (") else {
            continue;
        };
        let (Ok(number), Some((_, place))) = (
            number.replace(',', "").parse::<u64>(),
            rest.split_once("%)"),
        ) else {
            continue;
        };
        let Some((_, function)) = place.trim_start().split_once(':') else {
            continue;
        };
        let name = function.split(" [").next().unwrap_or(function);
        *functions.entry(name.to_owned()).or_default() += number;
    }
    functions
}

/// What each took more in the second run, each time, most first.
fn most<'f>(
    first: &HashMap<String, u64>,
    second: &'f HashMap<String, u64>,
    times: u64,
) -> Vec<(u64, &'f str)> {
    let mut most: Vec<_> = second
        .iter()
        .map(|(name, total)| {
            let before = first.get(name).copied().unwrap_or_default();
            (total.saturating_sub(before) / times, name.as_str())
        })
        .filter(|(each, _)| *each > 0)
        .collect();
    most.sort_by(|a, b| b.cmp(a));
    most
}

#[cfg(test)]
mod tests {
    use super::{most, parse};

    const FIRST: &str = "\
--------------------------------------------------------------------------------
Ir                   file:function
--------------------------------------------------------------------------------
3,000 (60.00%)  ???:startup [/build/oidc-proxy]
1,000 (20.00%)  ./malloc/malloc.c:malloc [/usr/lib/libc.so.6]
";
    const SECOND: &str = "\
9,000 (99.99%)  PROGRAM TOTALS
3,000 (30.00%)  ???:startup [/build/oidc-proxy]
5,500 (55.00%)  ./malloc/malloc.c:malloc [/usr/lib/libc.so.6]
  500 ( 5.00%)  ???:<a::B as c::D>::run::{{closure}} [/build/oidc-proxy]
";

    #[test]
    fn what_only_starting_takes_is_not_shown() {
        let (first, second) = (parse(FIRST), parse(SECOND));
        assert_eq!(
            most(&first, &second, 10),
            [(450, "malloc"), (50, "<a::B as c::D>::run::{{closure}}")]
        );
    }
}
