//! A page as its reader follows it: a configuration, and commands with what they print.

use std::path::Path;

/// A page of `docs/` with something to try.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) file: &'static str,
    pub(crate) parts: Vec<Part>,
}

/// Something that the reader does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Starts a gateway with this configuration.
    Configuration(String),
    /// Types this.
    Commands {
        /// Where it stands on the page.
        line: usize,
        commands: String,
        /// What is printed, if the page says so.
        printed: Option<String>,
    },
}

/// A fenced block.
struct Block<'a> {
    /// The line of its opening fence, from 1.
    line: usize,
    language: &'a str,
    text: String,
    /// Whether nothing but blank lines stands between the block before and this one.
    follows_directly: bool,
}

impl Page {
    /// The page in this file.
    ///
    /// # Panics
    /// If there is none, or nothing on it to try.
    pub(crate) fn read(file: &'static str) -> Self {
        match parts(&text(file)) {
            Ok(parts) => Self { file, parts },
            Err(why) => panic!("docs/{file}: {why}"),
        }
    }
}

/// The text of a file of `docs/`.
///
/// # Panics
/// If it cannot be read.
pub(crate) fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files that a summary lists under "Workflows".
pub(crate) fn workflows(summary: &str) -> Vec<&str> {
    summary
        .lines()
        .skip_while(|line| *line != "# Workflows")
        .skip(1)
        .take_while(|line| !line.starts_with("# "))
        .filter_map(|line| line.split_once("](")?.1.strip_suffix(')'))
        .collect()
}

/// What the reader does: the first configuration of services is the gateway's, everything in a
/// block `sh` is typed, and a block `text` right behind is what it prints.
fn parts(page: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut configured = false;
    let mut typed = false;
    for block in blocks(page)? {
        match block.language {
            "yaml" if !configured && block.text.lines().any(|line| line == "services:") => {
                configured = true;
                parts.push(Part::Configuration(block.text));
            }
            "sh" => {
                typed = true;
                parts.push(Part::Commands {
                    line: block.line,
                    commands: block.text,
                    printed: None,
                });
            }
            "text" => match parts.last_mut() {
                Some(Part::Commands { printed, .. })
                    if printed.is_none() && block.follows_directly =>
                {
                    *printed = Some(block.text);
                }
                _ => return Err(format!("line {}: no command prints this", block.line)),
            },
            _ => {}
        }
    }
    match (configured, typed) {
        (true, true) => Ok(parts),
        (false, _) => Err("no configuration (a block `yaml` with `services:`)".to_owned()),
        (true, false) => Err("no command (a block `sh`)".to_owned()),
    }
}

fn blocks(page: &str) -> Result<Vec<Block<'_>>, String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().zip(1..);
    let mut follows_directly = false;
    while let Some((opening, line)) = lines.next() {
        let Some(language) = opening.strip_prefix("```") else {
            follows_directly &= opening.trim().is_empty();
            continue;
        };
        let mut text = String::new();
        loop {
            match lines.next() {
                None => return Err(format!("line {line}: the block does not end")),
                Some(("```", _)) => break,
                Some((inner, _)) => {
                    text.push_str(inner);
                    text.push('\n');
                }
            }
        }
        blocks.push(Block {
            line,
            language,
            text,
            follows_directly,
        });
        follows_directly = true;
    }
    Ok(blocks)
}

#[test]
fn a_page_is_read_as_it_is_followed() {
    let page = "\
# Title

```sh
before
```

```yaml
services:
  - a
```

```sh
one
two
```

```text
printed
```

```yaml
services: []
```

```console
not typed
```
";
    let commands = |line, commands: &str, printed: Option<&str>| Part::Commands {
        line,
        commands: commands.to_owned(),
        printed: printed.map(str::to_owned),
    };
    assert_eq!(
        parts(page),
        Ok(vec![
            commands(3, "before\n", None),
            Part::Configuration("services:\n  - a\n".to_owned()),
            commands(12, "one\ntwo\n", Some("printed\n")),
        ])
    );
}

#[test]
fn a_page_that_cannot_be_followed_is_refused() {
    let config = "```yaml\nservices:\n```\n";
    let command = "```sh\na\n```\n";
    let printed = "```text\nb\n```\n";
    for (page, why) in [
        (String::new(), "no configuration"),
        (command.to_owned(), "no configuration"),
        (config.to_owned(), "no command"),
        (
            format!("{config}{printed}{command}"),
            "no command prints this",
        ),
        (
            format!("{config}{command}words\n{printed}"),
            "no command prints this",
        ),
        (
            format!("{config}{command}{printed}{printed}"),
            "no command prints this",
        ),
        (format!("{config}{command}```text\n"), "does not end"),
    ] {
        let refused = parts(&page).expect_err("a refusal");
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn workflows_are_the_links_below_their_title() {
    let summary =
        "# A\n- [x](x.md)\n\n# Workflows\n\n- [y](y.md)\n- [z](z.md)\n\n# B\n- [w](w.md)\n";
    assert_eq!(workflows(summary), ["y.md", "z.md"]);
}
