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
        let Ok(found) = fs::read_dir(root.join("regressions").join(target.name)) else {
            continue;
        };
        for entry in found {
            let path = entry?.path();
            if let Some(name) = path.file_name() {
                fs::copy(&path, corpus.join(name))?;
            }
        }
    }
    Ok(())
}
