//! Which of several configured clients a request is for: the contract's section on client mismatch.

use super::Client;

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChosenBy {
    /// The request named it (`client_arg`).
    Request,
    /// The refresh token's `azp` claim named it.
    AuthorizedParty,
    /// Nothing named one that is configured: the first.
    Default,
}

/// The client that will be used.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The client.
    pub client: &'a Client,
    /// Its place in the configuration, from 0.
    pub index: usize,
    /// What decided.
    pub by: ChosenBy,
}

/// Chooses by the request's own word (a client id, or a place counted from 1), else by the hint
/// of the refresh token's `azp`, else takes the first.
///
/// A word or a hint that names nobody is passed over, as in Kong.
#[must_use]
pub fn choose<'a>(
    clients: &'a [Client],
    request: Option<&str>,
    authorized_party: Option<&str>,
) -> Option<Chosen<'a>> {
    let by_id = |id: &str| clients.iter().position(|client| client.id() == id);
    let by_place = |word: &str| {
        let place = word.parse::<usize>().ok()?.checked_sub(1)?;
        (place < clients.len()).then_some(place)
    };
    let (index, by) = request
        .and_then(|word| by_id(word).or_else(|| by_place(word)))
        .map(|index| (index, ChosenBy::Request))
        .or_else(|| Some((by_id(authorized_party?)?, ChosenBy::AuthorizedParty)))
        .unwrap_or((0, ChosenBy::Default));
    Some(Chosen {
        client: clients.get(index)?,
        index,
        by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientAuthentication;

    #[test]
    fn the_request_goes_before_the_hint_and_the_hint_before_the_first() {
        let clients: Vec<Client> = ["kong", "service", "2"]
            .map(|id| Client::new(id, ClientAuthentication::None))
            .into();
        for (request, azp, index, by) in [
            (None, None, 0, ChosenBy::Default),
            (Some("service"), None, 1, ChosenBy::Request),
            (Some("service"), Some("kong"), 1, ChosenBy::Request),
            (None, Some("service"), 1, ChosenBy::AuthorizedParty),
            (Some("3"), None, 2, ChosenBy::Request),
            (Some("2"), None, 2, ChosenBy::Request), // an id goes before a place
            (Some("0"), None, 0, ChosenBy::Default),
            (Some("4"), Some("service"), 1, ChosenBy::AuthorizedParty),
            (Some("nobody"), Some("nobody"), 0, ChosenBy::Default),
        ] {
            let chosen = choose(&clients, request, azp).expect("a client is configured");
            assert_eq!(
                (chosen.index, chosen.by),
                (index, by),
                "{request:?} {azp:?}"
            );
        }
        assert!(choose(&[], None, None).is_none());
    }
}
