//! The groups that a realm's users are in, as a tree.

use serde_json::{Value, json};

use super::user::User;

/// Every group on the paths of the users' groups.
pub(super) fn tree(users: &[User]) -> Vec<Value> {
    let mut roots = Vec::new();
    for path in users.iter().flat_map(|user| &user.groups) {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        grow(&mut roots, &names);
    }
    roots
}

fn grow(groups: &mut Vec<Value>, names: &[&str]) {
    let Some((first, rest)) = names.split_first() else {
        return;
    };
    let known = groups.iter().position(|group| group["name"] == **first);
    let index = known.unwrap_or_else(|| {
        groups.push(json!({"name": first, "subGroups": []}));
        groups.len() - 1
    });
    if let Some(children) = groups[index]["subGroups"].as_array_mut() {
        grow(children, rest);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::tree;
    use crate::User;

    #[test]
    fn paths_share_their_beginnings() {
        let users = [
            User::new("ann", "pw").group("/staff/it").group("/guests"),
            User::new("bob", "pw").group("/staff/hr"),
        ];
        let leaf = |name: &str| json!({"name": name, "subGroups": []});
        let expected = [
            json!({"name": "staff", "subGroups": [leaf("it"), leaf("hr")]}),
            leaf("guests"),
        ];
        assert_eq!(tree(&users), expected);
    }
}
