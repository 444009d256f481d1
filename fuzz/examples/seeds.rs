//! Writes the seeds and what was found before into `fuzz/corpus`, for libFuzzer to start from.

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for target in floe_fuzz::TARGETS {
        let corpus = root.join("corpus").join(target.name);
        fs::create_dir_all(&corpus)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(corpus.join(format!("seed-{number}")), seed)?;
        }
        copy(&root.join("regressions").join(target.name), &corpus)?;
    }
    // Those whose corpora lie with the tests of their crates.
    for of in ["stun", "turn"] {
        for entry in fs::read_dir(root.join("..").join(of).join("tests/corpus"))? {
            let entry = entry?;
            let name = format!("{of}_{}", entry.file_name().display());
            copy(&entry.path(), &root.join("corpus").join(name))?;
        }
    }
    for target in ["document", "edit", "negotiate"] {
        let tests = root.join("../sdp/tests");
        let corpus = root.join("corpus").join(format!("sdp_{target}"));
        copy(&tests.join("data"), &corpus)?;
        copy(&tests.join("data/manner"), &corpus)?;
        copy(&tests.join("corpus").join(target), &corpus)?;
    }
    Ok(())
}

/// Copies the files of a directory, if there is one.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(files) = fs::read_dir(from) else {
        return Ok(());
    };
    fs::create_dir_all(to)?;
    for file in files {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
    }
    Ok(())
}
