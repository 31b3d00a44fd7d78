//! The spellings of a header's name that some reader may take for the same.

/// Every case of a few letters, and every mix of hyphens and underscores.
pub(crate) fn spellings(name: &str) -> Vec<String> {
    let hyphens: Vec<usize> = name.match_indices('-').map(|(at, _)| at).collect();
    let mut all = Vec::new();
    for choice in 0..1_u32 << hyphens.len() {
        let mut spelling = name.to_owned().into_bytes();
        for (bit, at) in hyphens.iter().enumerate() {
            if choice >> bit & 1 == 1 {
                spelling[*at] = b'_';
            }
        }
        let spelling = String::from_utf8(spelling).expect("ASCII");
        let mixed = spelling
            .char_indices()
            .map(|(at, c)| {
                if at % 2 == 0 {
                    c.to_ascii_uppercase()
                } else {
                    c
                }
            })
            .collect();
        all.extend([spelling.to_ascii_uppercase(), mixed, spelling]);
    }
    all
}
