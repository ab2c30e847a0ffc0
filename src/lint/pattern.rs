//! Patterns of paths and names.

/// Whether a path is what a pattern stands for: `*` is anything but `/`, `**` anything.
///
/// The last `*` and the last `**` are remembered, and take one more where it goes no further: no pattern costs more than
/// its length times that of the path.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.as_bytes(), path.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where to go on after a star, and how much of the path it has taken.
    let mut star: Option<(usize, usize)> = None;
    let mut stars: Option<(usize, usize)> = None;
    loop {
        if pattern[at..].starts_with(b"**") {
            at += 2;
            (star, stars) = (None, Some((at, seen)));
            continue;
        }
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, seen));
            continue;
        }
        match (pattern.get(at), path.get(seen)) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == found => {
                at += 1;
                seen += 1;
                continue;
            }
            _ => {}
        }
        if let Some((after, taken)) = star
            && path.get(taken).is_some_and(|&byte| byte != b'/')
        {
            star = Some((after, taken + 1));
            (at, seen) = (after, taken + 1);
        } else if let Some((after, taken)) = stars
            && taken < path.len()
        {
            (star, stars) = (None, Some((after, taken + 1)));
            (at, seen) = (after, taken + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a/b.yaml", "a/b.yaml", true)]
    #[case("a/b.yaml", "a/b.yml", false)]
    #[case("a/*.yaml", "a/b.yaml", true)]
    #[case("a/*.yaml", "a/b/c.yaml", false)]
    #[case("a/**.yaml", "a/b/c.yaml", true)]
    #[case("**/values.yaml", "a/b/values.yaml", true)]
    #[case("*/c/*.yaml", "b/c/d.yaml", true)]
    #[case("**", "a/b", true)]
    #[case("a*", "b", false)]
    #[case("**a*b", "xaa/ab", true)]
    #[case("", "", true)]
    #[case("", "a", false)]
    fn a_pattern_stands_for_paths(#[case] pattern: &str, #[case] path: &str, #[case] stands: bool) {
        assert_eq!(matches(pattern, path), stands);
    }

    proptest! {
        #[test]
        fn a_path_stands_for_itself_and_no_pattern_hangs(pattern in "[ab/*]{0,24}", path in "[ab/]{0,24}") {
            prop_assert!(matches(&path, &path));
            let _ = matches(&pattern, &path);
        }
    }
}
