//! The secrets of plugins.

use std::fs;

use hearth::config::Config;

use super::{file, mistakes};

#[test]
fn secrets_are_read_when_the_file_is() {
    let (folder, path) = file(
        "[plugins.a]\nfile = \"a\"\n[plugins.a.secrets]\n\
         one = { file = \"one.txt\" }\ntwo = { env = \"TWO\" }\n",
    );
    fs::write(folder.path().join("one.txt"), "from a file\n").unwrap();
    let env = |name: &str| (name == "TWO").then(|| "from a variable".to_owned());
    let config = Config::load(Some(&path), &env).unwrap();
    let secrets = &config.plugins["a"].secret_values;
    assert_eq!(secrets["one"].expose(), "from a file");
    assert_eq!(secrets["two"].expose(), "from a variable");
    assert!(!format!("{config:?}").contains("from a"));
}

#[test]
fn a_secret_that_cannot_be_read_is_a_mistake() {
    let text = "[plugins.a]\nfile = \"a\"\n[plugins.a.secrets]\nfar = { file = \"none.txt\" }\n\
                unset = { env = \"UNSET\" }\nboth = { env = \"X\", file = \"y\" }\nneither = {}\n\
                plain = \"hunter2\"\n";
    let told = mistakes(text);
    let lines: Vec<usize> = told.iter().map(|mistake| mistake.0).collect();
    assert_eq!(lines, [4, 5, 6, 7, 8], "{told:#?}");
    assert!(!format!("{told:?}").contains("hunter2"));
}

#[test]
fn names_of_the_hosts_own_secrets_cannot_be_set() {
    let text =
        "[plugins.a]\nfile = \"a\"\n[plugins.a.secrets]\n\"hearth.cursor_key\" = { env = \"X\" }\n";
    let told = format!("{:?}", mistakes(text));
    assert!(told.contains("are reserved for the host"), "{told}");
}
