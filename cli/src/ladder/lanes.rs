//! The lanes of a ladder, from the offering host over the server to the answering one.

use floe_sim::World;

/// Columns from lane to lane.
const PITCH: usize = 8;

#[derive(Clone, Debug)]
pub(super) struct Lanes {
    names: Vec<String>,
}

/// How an arrow ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At this lane, delivered.
    Arrived(usize),
    /// At this lane, dropped.
    Dropped(usize),
    /// On the way from the last lane to this one, if it is known.
    Lost(Option<usize>),
}

impl Lanes {
    /// A lane for each node, those that both hosts are behind on the side of the first.
    pub(super) fn new(world: &World) -> Self {
        let [a, b] = world.hosts;
        let mut names = vec![world.plan.name(a)];
        names.extend(world.plan.routers(a));
        names.push(world.plan.name(world.server));
        let others = world.plan.routers(b);
        let shared = names.clone();
        names.extend(others.iter().rev().filter(|name| !shared.contains(name)));
        names.push(world.plan.name(b));
        Self {
            names: names.into_iter().map(Into::into).collect(),
        }
    }

    /// The lane of a node; nothing for a segment.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|lane| lane == name)
    }

    /// The lane of a host; the first if there is none of this name.
    pub(super) fn of(&self, name: &str) -> usize {
        self.find(name).unwrap_or(0)
    }

    /// The host on whose side a lane is.
    pub(super) fn host(&self, lane: usize) -> &'static str {
        if lane < self.of("server") { "a" } else { "b" }
    }

    pub(super) fn width(&self) -> usize {
        (self.names.len() - 1) * PITCH + 1
    }

    /// The names above their lanes, the last part of each.
    pub(super) fn header(&self) -> String {
        let mut line = String::new();
        for (lane, name) in self.names.iter().enumerate() {
            let name = name.rsplit('/').next().unwrap_or(name);
            let start = (lane * PITCH).saturating_sub(name.len() / 2);
            line = format!("{line:<start$}{name}");
        }
        line
    }

    fn canvas(&self) -> Vec<char> {
        let mut canvas = vec![' '; self.width()];
        canvas
            .iter_mut()
            .step_by(PITCH)
            .for_each(|cell| *cell = '│');
        canvas
    }

    /// Lanes on which nothing happens.
    pub(super) fn idle(&self) -> String {
        self.canvas().into_iter().collect()
    }

    /// Something happens on one lane.
    pub(super) fn mark(&self, lane: usize, with: char) -> String {
        let mut canvas = self.canvas();
        canvas[lane * PITCH] = with;
        canvas.into_iter().collect()
    }

    /// An arrow from a lane over others to its end.
    pub(super) fn arrow(&self, from: usize, over: &[usize], end: End, shaft: char) -> String {
        let mut canvas = self.canvas();
        let last = over.last().copied().unwrap_or(from);
        let to = match end {
            End::Arrived(lane) | End::Dropped(lane) => lane * PITCH,
            // Half way to the next lane.
            End::Lost(towards)
                if towards.is_some_and(|lane| lane < last) || last + 1 == self.names.len() =>
            {
                (last * PITCH).saturating_sub(PITCH / 2)
            }
            End::Lost(_) => last * PITCH + PITCH / 2,
        };
        let mut at = from * PITCH;
        let start = at;
        for stop in over.iter().map(|lane| lane * PITCH).chain([to]) {
            for cell in &mut canvas[at.min(stop)..=at.max(stop)] {
                *cell = if *cell == ' ' || *cell == shaft {
                    shaft
                } else {
                    '┼'
                };
            }
            at = stop;
        }
        for lane in over {
            canvas[lane * PITCH] = '◇';
        }
        canvas[start] = '●';
        canvas[to] = match end {
            End::Arrived(_) if to == start && over.is_empty() => '↺',
            End::Arrived(_) if to > last * PITCH => '▶',
            End::Arrived(_) => '◀',
            End::Dropped(_) | End::Lost(_) => '✗',
        };
        canvas.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use floe_sim::{Preset, SessionConfig};

    use super::*;

    fn lanes() -> Lanes {
        Lanes::new(&SessionConfig::new(Preset::FullCone, Preset::Open).world())
    }

    #[test]
    fn a_lane_for_each_node_in_the_order_of_the_way() {
        let lanes =
            Lanes::new(&SessionConfig::new(Preset::DoubleNat, Preset::SymmetricCgn).world());
        assert_eq!(
            lanes.names,
            [
                "a",
                "nat-a",
                "nat-a/carrier",
                "server",
                "nat-b/carrier",
                "nat-b",
                "b"
            ]
        );
        assert_eq!(
            lanes.header(),
            "a     nat-a  carrier server  carrier  nat-b     b"
        );
        assert_eq!(lanes.find("core"), None);
        assert_eq!(lanes.host(1), "a");
        assert_eq!(lanes.host(4), "b");
    }

    #[test]
    fn arrows_show_how_far_a_packet_came() {
        let lanes = lanes();
        assert_eq!(lanes.idle(), "│       │       │       │");
        let arrow = |from, over: &[usize], end| lanes.arrow(from, over, end, '─');
        assert_eq!(arrow(0, &[1], End::Arrived(2)), "●───────◇───────▶       │");
        assert_eq!(arrow(0, &[1], End::Arrived(3)), "●───────◇───────┼───────▶");
        assert_eq!(arrow(3, &[], End::Dropped(1)), "│       ✗───────┼───────●");
        assert_eq!(arrow(2, &[1], End::Arrived(0)), "◀───────◇───────●       │");
        assert_eq!(
            arrow(0, &[1], End::Lost(Some(3))),
            "●───────◇───✗   │       │"
        );
        assert_eq!(
            arrow(2, &[], End::Lost(Some(0))),
            "│       │   ✗───●       │"
        );
        assert_eq!(arrow(3, &[], End::Lost(None)), "│       │       │   ✗───●");
        assert_eq!(arrow(2, &[], End::Arrived(2)), "│       │       ↺       │");
    }
}
