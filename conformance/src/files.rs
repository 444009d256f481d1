//! The texts that are read, by their path from the root of the repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Texts by their path, which is relative and has `/` in it on every system.
#[derive(Clone, Debug, Default)]
pub struct Files(BTreeMap<String, String>);

/// The root of the repository this crate was built in.
pub fn root() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.parent().unwrap_or(crate_dir).to_path_buf()
}

impl Files {
    /// Reads all Rust sources, Markdown and text files below `root`, but for build output and what is
    /// hidden.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        files.walk(root, "")?;
        Ok(files)
    }

    fn walk(&mut self, dir: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() && !name.starts_with('.') && name != "target" {
                self.walk(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() && has_extension(&name, &["rs", "md", "txt"]) {
                self.insert(&path, &fs::read_to_string(entry.path())?);
            }
        }
        Ok(())
    }

    /// Adds a text, or replaces it.
    pub fn insert(&mut self, path: &str, text: &str) {
        self.0.insert(path.into(), text.replace("\r\n", "\n"));
    }

    /// The text at a path.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Those directly in `dir` or below it (all: `""`) that end in `.extension`, in the order of their paths.
    pub(crate) fn of_kind<'a>(
        &'a self,
        dir: &'a str,
        extension: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self
            .0
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()));
        all.filter(move |(path, _)| path.starts_with(dir) && has_extension(path, &[extension]))
    }
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(name)
        .extension()
        .and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extensions.contains(&extension))
}
