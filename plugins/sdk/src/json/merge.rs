//! JSON merge patch (RFC 7396).

use serde_json::{Map, Value};

/// Merges the members of a patch into a value: `null` removes, an object is merged in its
/// turn, and anything else takes the place of what is there. A value that is no object
/// becomes one.
///
/// ```
/// use hearth_plugin::json::{json, merge};
/// let mut target = json!({"a": {"b": 1, "c": 2}, "d": [1]});
/// let patch = json!({"a": {"b": null, "e": 3}, "d": [2]});
/// merge(&mut target, patch.as_object().unwrap());
/// assert_eq!(target, json!({"a": {"c": 2, "e": 3}, "d": [2]}));
/// ```
pub fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else {
        return;
    };
    for (name, value) in patch {
        match value {
            Value::Null => drop(members.remove(name)),
            // No deeper than a body is read.
            Value::Object(inner) => {
                merge(members.entry(name.as_str()).or_insert(Value::Null), inner);
            }
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The cases of RFC 7396, appendix A, whose patch is an object.
    #[test]
    fn examples_of_the_rfc_come_out_as_it_says() {
        for (mut target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            merge(&mut target, patch.as_object().unwrap());
            assert_eq!(target, expected, "{patch}");
        }
    }
}
