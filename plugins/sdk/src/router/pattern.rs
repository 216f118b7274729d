//! A pattern of a path, such as `/tickets/{id}/comments`.

/// A pattern, segment by segment.
pub(super) struct Pattern(Vec<Segment>);

enum Segment {
    Literal(&'static str),
    Parameter,
}

impl Pattern {
    pub(super) fn parse(pattern: &'static str) -> Self {
        let segments = pattern.trim_start_matches('/').split('/');
        Pattern(segments.map(Segment::parse).collect())
    }

    pub(super) fn matches(&self, path: &[String]) -> bool {
        self.0.len() == path.len()
            && self
                .0
                .iter()
                .zip(path)
                .all(|(segment, text)| segment.matches(text))
    }

    /// Orders the patterns of one path: a literal comes before a parameter, from the
    /// left to the right.
    pub(super) fn rank(&self) -> Vec<bool> {
        self.0.iter().map(Segment::is_parameter).collect()
    }

    /// The texts of the parameters, in the order of the pattern.
    pub(super) fn parameters(&self, path: &[String]) -> Vec<String> {
        let pairs = self.0.iter().zip(path);
        pairs
            .filter(|(segment, _)| segment.is_parameter())
            .map(|(_, text)| text.clone())
            .collect()
    }
}

impl Segment {
    fn parse(text: &'static str) -> Self {
        if text.starts_with('{') && text.ends_with('}') {
            Segment::Parameter
        } else {
            Segment::Literal(text)
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Segment::Literal(literal) => *literal == text,
            Segment::Parameter => !text.is_empty(),
        }
    }

    fn is_parameter(&self) -> bool {
        matches!(self, Segment::Parameter)
    }
}
