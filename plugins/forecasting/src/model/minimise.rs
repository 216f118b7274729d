//! Minimising a function of a few parameters in a box, without derivatives: the
//! simplex of Nelder and Mead (1965), whose points are moved back into the box.
//! It asks the function a bounded number of times and knows no chance, so the same
//! history always has the same forecast.

/// Relative spread of the simplex's values at which it has converged.
const TOLERANCE: f64 = 1e-7;

/// Where each parameter starts, how far the first step goes, and its bounds.
pub struct Search<const N: usize> {
    pub start: [f64; N],
    pub step: [f64; N],
    pub lower: [f64; N],
    pub upper: [f64; N],
}

impl<const N: usize> Search<N> {
    /// The best point that was found with about so many evaluations.
    pub fn minimise(
        &self,
        evaluations_max: usize,
        value: impl FnMut(&[f64; N]) -> f64,
    ) -> [f64; N] {
        let mut simplex = Simplex {
            search: self,
            value,
            evaluations: 0,
            vertices: Vec::with_capacity(N + 1),
        };
        simplex.begin();
        while simplex.evaluations < evaluations_max && !simplex.has_converged() {
            simplex.step();
        }
        let best = simplex.vertices.first();
        best.map_or(self.start, |vertex| vertex.at)
    }

    /// The start with one parameter moved by its step, backwards at the bound.
    fn stepped(&self, axis: usize) -> [f64; N] {
        let mut at = self.start;
        let bounds = self.step.iter().zip(&self.upper);
        if let Some((own, (step, upper))) = at.iter_mut().zip(bounds).nth(axis) {
            *own += if *own + step <= *upper { *step } else { -step };
        }
        at
    }

    fn inside(&self, mut at: [f64; N]) -> [f64; N] {
        let bounds = self.lower.iter().zip(&self.upper);
        for (own, (lower, upper)) in at.iter_mut().zip(bounds) {
            *own = own.max(*lower).min(*upper);
        }
        at
    }
}

#[derive(Clone, Copy)]
struct Vertex<const N: usize> {
    at: [f64; N],
    value: f64,
}

/// Points with their values, the best first.
struct Simplex<'s, const N: usize, F> {
    search: &'s Search<N>,
    value: F,
    evaluations: usize,
    vertices: Vec<Vertex<N>>,
}

impl<const N: usize, F: FnMut(&[f64; N]) -> f64> Simplex<'_, N, F> {
    fn begin(&mut self) {
        let start = self.visit(self.search.start);
        self.insert(start);
        for axis in 0..N {
            let vertex = self.visit(self.search.stepped(axis));
            self.insert(vertex);
        }
    }

    fn has_converged(&self) -> bool {
        let (best, worst) = (self.best(), self.worst());
        worst - best <= TOLERANCE * best.abs()
    }

    /// Replaces the worst point: by its reflection in the middle of the others, by
    /// one further on that way, or by one nearer. Where none is better, all move
    /// towards the best.
    fn step(&mut self) {
        let Some(worst) = self.vertices.pop() else {
            return;
        };
        let middle = middle(&self.vertices);
        let reflected = self.visit(towards(&middle, &worst.at, -1.0));
        if reflected.value < self.best() {
            let expanded = self.visit(towards(&middle, &worst.at, -2.0));
            let further = expanded.value < reflected.value;
            self.insert(if further { expanded } else { reflected });
        } else if reflected.value < self.worst() {
            self.insert(reflected);
        } else {
            let beyond = reflected.value < worst.value;
            let side = if beyond { -0.5 } else { 0.5 };
            let contracted = self.visit(towards(&middle, &worst.at, side));
            match contracted.value < worst.value.min(reflected.value) {
                true => self.insert(contracted),
                false => self.shrink(worst),
            }
        }
    }

    fn shrink(&mut self, worst: Vertex<N>) {
        let mut old = std::mem::take(&mut self.vertices).into_iter();
        let Some(best) = old.next() else {
            return;
        };
        self.insert(best);
        for vertex in old.chain([worst]) {
            let nearer = self.visit(towards(&best.at, &vertex.at, 0.5));
            self.insert(nearer);
        }
    }

    fn visit(&mut self, at: [f64; N]) -> Vertex<N> {
        self.evaluations += 1;
        let at = self.search.inside(at);
        let value = (self.value)(&at);
        let value = if value.is_finite() { value } else { f64::MAX };
        Vertex { at, value }
    }

    fn insert(&mut self, vertex: Vertex<N>) {
        let before = |own: &Vertex<N>| own.value <= vertex.value;
        let position = self.vertices.partition_point(before);
        self.vertices.insert(position, vertex);
    }

    fn best(&self) -> f64 {
        self.vertices
            .first()
            .map_or(f64::MAX, |vertex| vertex.value)
    }

    fn worst(&self) -> f64 {
        self.vertices.last().map_or(f64::MAX, |vertex| vertex.value)
    }
}

/// The point on the line from `from` to `to`, at so many times their distance.
fn towards<const N: usize>(from: &[f64; N], to: &[f64; N], times: f64) -> [f64; N] {
    let mut at = *from;
    for (own, to) in at.iter_mut().zip(to) {
        *own += times * (to - *own);
    }
    at
}

fn middle<const N: usize>(vertices: &[Vertex<N>]) -> [f64; N] {
    let mut sum = [0.0; N];
    for vertex in vertices {
        for (own, at) in sum.iter_mut().zip(&vertex.at) {
            *own += at;
        }
    }
    sum.map(|own| own / vertices.len().max(1) as f64)
}
