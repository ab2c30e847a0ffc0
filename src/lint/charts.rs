//! What `helm template` printed, as objects that know their templates.

use std::sync::Arc;

use crate::{
    manifest::{self, ManifestError, Object},
    release::RepoPath,
};

/// Reads what `helm template` printed of the chart in `directory`; the file of each object is its template, as the
/// `# Source:` comment above it says, and its line the first.
///
/// # Errors
/// It is no manifest, which is a fault of the chart.
pub fn rendered(directory: &RepoPath, text: &str) -> Result<Arc<[Object]>, ManifestError> {
    let mut objects = manifest::read(&format!("{directory} (rendered)"), text.as_bytes())?;
    let sources: Vec<(u32, &str)> = (1..)
        .zip(text.lines())
        .filter_map(|(line, row)| Some((line, row.strip_prefix("# Source: ")?)))
        .collect();
    for object in &mut objects {
        let source = sources.iter().rev().find(|(line, _)| *line <= object.line);
        // The first part of a source is the chart's name, which stands for its directory.
        if let Some((_, below)) = source.and_then(|(_, source)| source.trim().split_once('/')) {
            object.file = format!("{directory}/{below}");
            object.line = 1;
        }
    }
    Ok(objects.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_a_chart_know_their_templates() {
        let text = "---\n# Source: pool/templates/a.yaml\napiVersion: v1\nkind: A\nmetadata: {name: a}\n---\n# Source: pool/templates/b.yaml\n\napiVersion: v1\nkind: B\nmetadata: {name: b}\n---\napiVersion: v1\nkind: C\nmetadata: {name: c}\n";
        let objects = rendered(&"config/charts/pool".parse().unwrap(), text).unwrap();
        let files: Vec<_> = objects
            .iter()
            .map(|object| (object.file.as_str(), object.line))
            .collect();
        assert_eq!(
            files,
            [
                ("config/charts/pool/templates/a.yaml", 1),
                ("config/charts/pool/templates/b.yaml", 1),
                ("config/charts/pool/templates/b.yaml", 1)
            ]
        );
        assert!(rendered(&"c".parse().unwrap(), "a: [").is_err());
    }
}
