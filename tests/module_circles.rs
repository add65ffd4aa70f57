//! Checks that the modules of a crate do not depend on each other in circles. A module depends on the modules
//! that its `use` declarations name, and on those that its paths with `crate::` or `super::` name. Test modules do not
//! count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The folders with the sources of the crates.
const SOURCES: [&str; 12] = [
    "src",
    "api/src",
    "worker/src",
    "migrations/src",
    "crates/address/src",
    "crates/backends/src",
    "crates/domain/src",
    "crates/instrument/src",
    "crates/picture/src",
    "crates/queue/src",
    "crates/records/src",
    "crates/storage/src",
];

/// A module's path in its crate, such as `["sweeper", "expire_unclaimed"]`; empty for the root.
type ModulePath = Vec<String>;

#[test]
fn modules_do_not_depend_on_each_other_in_circles() {
    for sources in SOURCES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(sources);
        let mut modules = BTreeMap::new();
        read_modules(&folder, &Vec::new(), &mut modules);
        let names: BTreeSet<ModulePath> = modules.keys().cloned().collect();
        let mut edges: BTreeMap<ModulePath, BTreeSet<ModulePath>> =
            modules.iter().map(|(module, text)| (module.clone(), dependencies(module, text, &names))).collect();
        // Removes the modules that depend on no other module, until no such module is left. Each module that remains is
        // in a circle or depends on a module in a circle.
        loop {
            let free: Vec<ModulePath> =
                edges.iter().filter(|(_, on)| on.is_empty()).map(|(of, _)| of.clone()).collect();
            if free.is_empty() {
                break;
            }
            edges.retain(|of, _| !free.contains(of));
            edges.values_mut().for_each(|on| on.retain(|one| !free.contains(one)));
        }
        let left: Vec<String> = edges.iter().map(|(of, on)| format!("{} ► {on:?}", of.join("::"))).collect();
        assert!(left.is_empty(), "{sources} has a circle among:\n{}", left.join("\n"));
    }
}

/// Reads all files of a folder. `a.rs` and `a/mod.rs` are the module `a`; `lib.rs` and `main.rs`
/// are the root.
fn read_modules(folder: &Path, module: &ModulePath, modules: &mut BTreeMap<ModulePath, String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let child = |name: &str| module.iter().cloned().chain([name.to_owned()]).collect::<ModulePath>();
        if path.is_dir() {
            read_modules(&path, &child(&name), modules);
        } else if let Some(stem) = name.strip_suffix(".rs") {
            let of = if ["lib", "main", "mod"].contains(&stem) { module.clone() } else { child(stem) };
            modules.insert(of, code_of(&std::fs::read_to_string(path).unwrap()));
        }
    }
}

/// The text without its comments and its test module, which is at its end.
fn code_of(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The other modules that a module names.
fn dependencies(module: &ModulePath, text: &str, modules: &BTreeSet<ModulePath>) -> BTreeSet<ModulePath> {
    let mut paths = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("use ") {
        let end = rest[at..].find(';').map_or(rest.len(), |end| at + end);
        if rest[..at].ends_with(|c: char| c.is_whitespace() || c == ')') || at == 0 {
            expand("", &rest[at + 4..end], &mut paths);
        }
        rest = &rest[end.min(at + 4)..];
    }
    let separators = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
    let named = text.split(separators).filter(|word| word.contains("::") && !word.ends_with("::"));
    paths.extend(named.map(str::to_owned));
    let found = paths.iter().filter_map(|path| resolve(module, path, modules));
    found.filter(|found| found != module).collect()
}

/// Adds every path of a `use` tree to `paths`: `a::{b, c::d}` adds `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        return paths.push(format!("{prefix}{tree}"));
    };
    let (head, inner) = (&tree[..open], tree[open + 1..].trim_end().trim_end_matches('}'));
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth <= 0 && !inner[start..at].trim().is_empty() => {
                expand(&format!("{prefix}{head}"), &inner[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The module that a path names. If the path names an item, the module of that item. None if the path leads out of the
/// crate.
fn resolve(module: &ModulePath, path: &str, modules: &BTreeSet<ModulePath>) -> Option<ModulePath> {
    let mut words = path.split("::").map(|word| word.trim().split(' ').next().unwrap_or_default()).peekable();
    let mut at = match words.peek()? {
        &"crate" => Vec::new(),
        &"self" | &"super" => module.clone(),
        child if modules.contains(&[module.as_slice(), &[(*child).to_owned()]].concat()) => module.clone(),
        _ => return None,
    };
    for word in words {
        match word {
            "crate" | "self" => {}
            "super" => drop(at.pop()),
            word => at.push(word.to_owned()),
        }
    }
    while !modules.contains(&at) {
        at.pop()?;
    }
    Some(at)
}
