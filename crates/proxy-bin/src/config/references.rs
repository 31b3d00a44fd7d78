//! Strings that stand for something elsewhere: `{file:…}`, `{env:…}`, Kong's `{vault://env/…}`.

/// What a string stands for.
pub(super) enum Resolved {
    /// Itself.
    Plain,
    /// Something elsewhere, which is not to be printed.
    Elsewhere(String),
    /// Something that is not there.
    Missing(String),
}

pub(super) fn resolve(text: &str, environment: &[(String, String)]) -> Resolved {
    let Some(inner) = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
    else {
        return Resolved::Plain;
    };
    let variable = |name: &str| {
        environment
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.clone())
    };
    if let Some(path) = inner.strip_prefix("file:") {
        return match std::fs::read_to_string(path) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                Resolved::Elsewhere(text.strip_suffix('\r').unwrap_or(text).to_owned())
            }
            Err(error) => Resolved::Missing(format!("the file {path} cannot be read: {error}")),
        };
    }
    if let Some(name) = inner.strip_prefix("env:") {
        return variable(name).map_or_else(
            || Resolved::Missing(format!("the environment variable {name} is not set")),
            Resolved::Elsewhere,
        );
    }
    if let Some(name) = inner.strip_prefix("vault://env/") {
        // Kong upper-cases the name and turns hyphens into underscores.
        let upper = name.to_ascii_uppercase().replace('-', "_");
        return variable(name).or_else(|| variable(&upper)).map_or_else(
            || Resolved::Missing(format!("the environment variable {upper} is not set")),
            Resolved::Elsewhere,
        );
    }
    if inner.starts_with("vault://") {
        return Resolved::Missing(
            "only the vault `env` is supported: {vault://env/NAME}".to_owned(),
        );
    }
    Resolved::Plain
}
