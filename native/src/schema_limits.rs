//! Refuses JSON Schemas whose evaluation might not end or might take exponential time.
//!
//! Schemas come with extensions, so a stranger's schema is evaluated in a trusted process. The evaluator follows
//! references without end (`{"$ref":"#"}` overflows its stack) and visits a value once for each path through the schema
//! that leads to it. So, of the graph whose nodes are the subschemas and whose edges are the applicators (draft 2020-12
//! core §10 and §11):
//! - references stay in the document, and only the root has an `$id`, so that a reference means one place
//! - edges that stay on the same value (`$ref`, `allOf`, `if`, ...) form no cycle, and a node expands to few of them
//! - on a cycle that goes down into the value, no member or item is visited twice

use std::collections::HashMap;

use serde_json::{Map, Value};

const MAX_DEPTH: usize = 64;
const MAX_EXPANSION: usize = 1_000;

/// (JSON pointer, reason)
pub type Refusal = (String, String);

#[derive(Clone, PartialEq)]
enum Slot<'a> {
    Property(&'a str),
    OtherProperties,
    MatchingProperties,
    UnevaluatedProperties,
    PrefixItem(usize),
    Items,
    Contains,
    Apart, // applies to something that has no members
}

#[derive(Default)]
struct Node<'a> {
    pointer: String,
    same: Vec<usize>,
    down: Vec<(Slot<'a>, usize)>,
}

struct Graph<'a> {
    root: &'a Value,
    nodes: Vec<Node<'a>>,
    by_address: HashMap<*const Value, usize>,
    anchors: HashMap<&'a str, &'a Value>,
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn depth_is_over(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(items) => left == 0 || items.iter().any(|item| depth_is_over(item, left - 1)),
        Value::Object(members) => left == 0 || members.values().any(|member| depth_is_over(member, left - 1)),
        _ => false,
    }
}

/// The subschemas of one schema object: (keyword, name or index, schema).
fn subschemas(object: &Map<String, Value>) -> Vec<(&str, Option<String>, &Value)> {
    let mut found = Vec::new();
    for (keyword, value) in object {
        match (keyword.as_str(), value) {
            (
                "not" | "if" | "then" | "else" | "additionalProperties" | "unevaluatedProperties" | "propertyNames"
                | "items" | "contains" | "unevaluatedItems" | "contentSchema",
                schema,
            ) => found.push((keyword.as_str(), None, schema)),
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => found.extend(
                schemas.iter().enumerate().map(|(index, schema)| (keyword.as_str(), Some(index.to_string()), schema)),
            ),
            (
                "dependentSchemas" | "properties" | "patternProperties" | "$defs" | "definitions",
                Value::Object(schemas),
            ) => found.extend(schemas.iter().map(|(name, schema)| (keyword.as_str(), Some(name.clone()), schema))),
            _ => {}
        }
    }
    found
}

impl<'a> Graph<'a> {
    fn collect_anchors(&mut self, value: &'a Value) {
        // Also where no schema is, which can only make the check stricter.
        match value {
            Value::Object(members) => {
                for keyword in ["$anchor", "$dynamicAnchor"] {
                    if let Some(Value::String(name)) = members.get(keyword) {
                        self.anchors.insert(name, value);
                    }
                }
                members.values().for_each(|member| self.collect_anchors(member));
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect_anchors(item)),
            _ => {}
        }
    }

    fn node(&mut self, schema: &'a Value, pointer: String, todo: &mut Vec<(usize, &'a Value)>) -> usize {
        if let Some(index) = self.by_address.get(&std::ptr::from_ref(schema)) {
            return *index;
        }
        let index = self.nodes.len();
        self.nodes.push(Node { pointer, ..Node::default() });
        self.by_address.insert(schema, index);
        todo.push((index, schema));
        index
    }

    fn target(&self, reference: &str, at: &str) -> Result<(&'a Value, String), Refusal> {
        let refuse = |reason: &str| Err((at.to_owned(), format!("The reference \"{reference}\" {reason}.")));
        let Some(fragment) = reference.strip_prefix('#') else {
            return refuse("leaves the document; only references that begin with # are followed");
        };
        if fragment.is_empty() {
            return Ok((self.root, String::new()));
        }
        if fragment.contains('%') {
            return refuse("is percent-encoded; write it plainly");
        }
        let found = if fragment.starts_with('/') {
            self.root.pointer(fragment).map(|schema| (schema, fragment.to_owned()))
        } else {
            self.anchors.get(fragment).map(|schema| (*schema, format!("#{fragment}")))
        };
        match found {
            Some(found) => Ok(found),
            None => refuse("points to nothing"),
        }
    }

    fn build(&mut self) -> Result<(), Refusal> {
        let mut todo = Vec::new();
        self.node(self.root, String::new(), &mut todo);
        while let Some((index, schema)) = todo.pop() {
            let Value::Object(object) = schema else { continue };
            let at = self.nodes[index].pointer.clone();
            if index != 0 && object.get("$id").is_some_and(Value::is_string) {
                return Err((at, "Only the root may have an $id.".to_owned()));
            }
            for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
                let Some(Value::String(reference)) = object.get(keyword) else { continue };
                let (schema, pointer) = self.target(reference, &format!("{at}/{keyword}"))?;
                let target = self.node(schema, pointer, &mut todo);
                self.nodes[index].same.push(target);
            }
            for (keyword, name, schema) in subschemas(object) {
                let below = name.as_deref().map(|name| format!("/{}", escaped(name))).unwrap_or_default();
                let child = self.node(schema, format!("{at}/{keyword}{below}"), &mut todo);
                let slot = match keyword {
                    "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas" => {
                        self.nodes[index].same.push(child);
                        continue;
                    }
                    "$defs" | "definitions" => continue,
                    "properties" => {
                        let members = object["properties"].as_object();
                        let name = members.and_then(|members| members.get_key_value(name.as_deref()?));
                        Slot::Property(name.map_or("", |(name, _)| name))
                    }
                    "patternProperties" => Slot::MatchingProperties,
                    "additionalProperties" => Slot::OtherProperties,
                    "unevaluatedProperties" => Slot::UnevaluatedProperties,
                    "prefixItems" => Slot::PrefixItem(name.and_then(|index| index.parse().ok()).unwrap_or(0)),
                    "items" => Slot::Items,
                    "contains" | "unevaluatedItems" => Slot::Contains,
                    _ => Slot::Apart,
                };
                self.nodes[index].down.push((slot, child));
            }
        }
        Ok(())
    }

    /// The nodes that apply to the same value as `start`, as often as they are reached.
    fn expansion(&self, start: usize) -> Result<Vec<usize>, Refusal> {
        let mut reached = vec![start];
        let mut next = 0;
        while next < reached.len() {
            reached.extend(&self.nodes[reached[next]].same);
            next += 1;
            if reached.len() > MAX_EXPANSION {
                let reason = format!("It applies itself, or more than {MAX_EXPANSION} subschemas, to the same value.");
                return Err((self.nodes[start].pointer.clone(), reason));
            }
        }
        Ok(reached)
    }

    /// For each node the number of its strongly connected component (Kosaraju, without recursion).
    fn components(&self) -> Vec<usize> {
        let edges = |index: usize| {
            let node = &self.nodes[index];
            node.same.iter().copied().chain(node.down.iter().map(|(_, child)| *child)).collect::<Vec<_>>()
        };
        let count = self.nodes.len();
        let mut backwards = vec![Vec::new(); count];
        let mut order = Vec::with_capacity(count);
        let mut seen = vec![false; count];
        for start in 0..count {
            let mut stack = vec![(start, false)];
            while let Some((index, is_finished)) = stack.pop() {
                if is_finished {
                    order.push(index);
                } else if !std::mem::replace(&mut seen[index], true) {
                    stack.push((index, true));
                    for child in edges(index) {
                        backwards[child].push(index);
                        stack.push((child, false));
                    }
                }
            }
        }
        let mut component = vec![usize::MAX; count];
        for start in order.into_iter().rev() {
            let mut stack = vec![start];
            while let Some(index) = stack.pop() {
                if component[index] == usize::MAX {
                    component[index] = if index == start { start } else { component[start] };
                    stack.extend(&backwards[index]);
                }
            }
        }
        component
    }

    /// How often one member or item of the value can be visited through edges that stay in `start`'s component.
    fn most_visits(&self, start: usize, component: &[usize]) -> Result<usize, Refusal> {
        let mut named: HashMap<&str, isize> = HashMap::new(); // visits in excess of the unnamed members'
        let mut indexed: HashMap<usize, isize> = HashMap::new();
        let (mut members, mut items) = (0, 0);
        for index in self.expansion(start)? {
            let down: Vec<_> = self.nodes[index].down.iter().filter(|(_, to)| component[*to] == component[start]).collect();
            let count = |wanted: Slot| down.iter().filter(|(slot, _)| *slot == wanted).count() as isize;
            let matching = count(Slot::MatchingProperties);
            let unevaluated = count(Slot::UnevaluatedProperties);
            let unnamed = matching.max(count(Slot::OtherProperties)) + unevaluated;
            members += unnamed;
            let others = count(Slot::Items);
            items += others + count(Slot::Contains);
            for (slot, _) in &down {
                match slot {
                    Slot::Property(name) => *named.entry(name).or_default() += 1 + matching - unnamed,
                    Slot::PrefixItem(at) => *indexed.entry(*at).or_default() += 1 - others,
                    _ => {}
                }
            }
        }
        let most_named = named.values().copied().max().unwrap_or(0).max(0);
        let most_indexed = indexed.values().copied().max().unwrap_or(0).max(0);
        Ok((members + most_named).max(items + most_indexed) as usize)
    }
}

pub fn check(schema: &Value) -> Result<(), Refusal> {
    if depth_is_over(schema, MAX_DEPTH) {
        return Err((String::new(), format!("It is nested more than {MAX_DEPTH} levels deep.")));
    }
    let mut graph = Graph { root: schema, nodes: Vec::new(), by_address: HashMap::new(), anchors: HashMap::new() };
    graph.collect_anchors(schema);
    graph.build()?;
    let component = graph.components();
    for index in 0..graph.nodes.len() {
        if graph.most_visits(index, &component)? > 1 {
            let reason = "It is recursive, and at each level it visits the same member or item more than once.";
            return Err((graph.nodes[index].pointer.clone(), reason.to_owned()));
        }
    }
    Ok(())
}
