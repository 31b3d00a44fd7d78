//! The report as a picture: requests a second beside plain nginx, with the rounds' spread.

use std::fmt::Write as _;

use crate::bench::contender::Contender;
use crate::bench::plan::{Part, Setting};
use crate::bench::results::{Results, Run};
use crate::bench::statistics::Spread;

/// The settings that are shown.
pub(super) const SHOWN: [Setting; 2] = [
    Setting {
        part: Part::Small,
        connections: 32,
    },
    Setting {
        part: Part::Small,
        connections: 128,
    },
];

/// Their colours: different in brightness, too.
const COLOURS: [&str; 2] = ["#1f5a8f", "#e8a33d"];

const WIDTH: f64 = 960.0;
/// Where the names end and the bars begin.
const LEFT: f64 = 330.0;
/// Where the longest bar or whisker ends.
const RIGHT: f64 = 890.0;
const TOP: f64 = 96.0;
const ROW: f64 = 44.0;
const BAR: f64 = 15.0;

/// The picture, in SVG; on white, whatever the page's ground is.
pub(super) fn plot(results: &Results) -> String {
    let rows: Vec<(Contender, [Option<Spread>; 2])> = Contender::ALL
        .iter()
        .map(|&contender| {
            let ratio = |setting| results.ratio(setting, contender, Contender::Nginx, Run::rate);
            (contender, SHOWN.map(ratio))
        })
        .filter(|(_, ratios)| ratios.iter().any(Option::is_some))
        .collect();
    let greatest = rows
        .iter()
        .flat_map(|(_, ratios)| ratios.iter().flatten())
        .fold(1.0_f64, |greatest, spread| greatest.max(spread.max));
    let step = if greatest > 2.0 { 0.5 } else { 0.25 };
    let end = (greatest / step).ceil() * step;
    let x = |ratio: f64| LEFT + ratio / end * (RIGHT - LEFT);
    #[expect(clippy::cast_precision_loss, reason = "some dozens of rows")]
    let bottom = TOP + ROW * rows.len() as f64;

    let mut svg = head(bottom);
    let mut tick = 0.0;
    while tick <= end {
        let at = x(tick);
        let _ = write!(
            svg,
            "<line x1='{at:.1}' y1='{TOP}' x2='{at:.1}' y2='{bottom}' stroke='#d9d9d9'/>\n\
             <text x='{at:.1}' y='{:.1}' text-anchor='middle'>{tick}</text>\n",
            bottom + 20.0
        );
        tick += step;
    }
    // Plain nginx itself.
    let _ = writeln!(
        svg,
        "<line x1='{at:.1}' y1='{TOP}' x2='{at:.1}' y2='{bottom}' stroke='#111111' \
         stroke-dasharray='5 4'/>",
        at = x(1.0)
    );
    let mut y = TOP;
    for (contender, ratios) in &rows {
        let _ = writeln!(
            svg,
            "<text x='{:.1}' y='{:.1}' text-anchor='end'>{}</text>",
            LEFT - 10.0,
            y + ROW / 2.0 + 5.0,
            contender.name().replace('&', "&amp;")
        );
        let mut top = y + (ROW - 2.0 * BAR) / 2.0;
        for (ratio, colour) in ratios.iter().zip(COLOURS) {
            if let Some(ratio) = ratio {
                bar(&mut svg, *ratio, top, colour, x);
            }
            top += BAR;
        }
        y += ROW;
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// The ground, the title, the legend and the name of the axis.
fn head(bottom: f64) -> String {
    let height = bottom + 60.0;
    let title = "Requests a second beside plain nginx with one worker";
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' \
         width='{WIDTH}' height='{height}' role='img'>\n<title>{title}</title>\n\
         <rect width='100%' height='100%' fill='#ffffff'/>\n\
         <g font-family='sans-serif' font-size='14' fill='#111111'>\n\
         <text x='20' y='34' font-size='20' font-weight='bold'>{title}</text>\n\
         <text x='{:.1}' y='{:.1}' text-anchor='middle'>requests/s, nginx = 1 (median of the \
         rounds; whiskers from the least to the greatest)</text>\n",
        (LEFT + RIGHT) / 2.0,
        bottom + 45.0
    );
    let mut x = LEFT;
    for (setting, colour) in SHOWN.iter().zip(COLOURS) {
        let _ = write!(
            svg,
            "<rect x='{x}' y='58' width='14' height='14' fill='{colour}'/>\n\
             <text x='{}' y='70'>{}</text>\n",
            x + 20.0,
            setting.title()
        );
        x += 200.0;
    }
    svg
}

/// A bar with its whisker and its figure.
fn bar(svg: &mut String, ratio: Spread, top: f64, colour: &str, x: impl Fn(f64) -> f64) {
    let middle = top + BAR / 2.0;
    let (from, to) = (x(ratio.min), x(ratio.max));
    let cap = middle - 3.0;
    let whisker = format!("M{from:.1} {middle:.1}H{to:.1}M{from:.1} {cap:.1}v6M{to:.1} {cap:.1}v6");
    // Both are seen on a bar and on the dashed line, for the white around them.
    let _ = write!(
        svg,
        "<rect x='{LEFT}' y='{top:.1}' width='{:.1}' height='{:.1}' fill='{colour}'/>\n\
         <path d='{whisker}' stroke='#ffffff' stroke-width='3' fill='none'/>\n\
         <path d='{whisker}' stroke='#111111' fill='none'/>\n\
         <text x='{:.1}' y='{:.1}' font-size='12' stroke='#ffffff' stroke-width='4' \
         paint-order='stroke'>{:.2}</text>\n",
        x(ratio.median) - LEFT,
        BAR - 1.0,
        to + 6.0,
        middle + 4.0,
        ratio.median,
    );
}

#[cfg(test)]
mod tests {
    use super::plot;
    use crate::bench::contender::Contender;
    use crate::bench::results::Results;
    use crate::bench::results::samples::{results, runs};

    #[test]
    fn everybody_measured_has_a_bar_with_its_ratio() {
        let svg = plot(&results(&[
            runs(Contender::Nginx, &[(1000, 0), (1000, 0)]),
            runs(Contender::Bearer, &[(1200, 0), (1300, 0)]),
        ]));
        assert!(svg.contains(">gateway, bearer token</text>"), "{svg}");
        assert!(svg.contains(">1.20</text>"), "{svg}");
        assert!(!svg.contains("haproxy"), "{svg}");
        assert!(svg.contains("fill='#ffffff'"));
    }

    #[test]
    fn nothing_measured_is_an_empty_picture() {
        assert!(plot(&Results::default()).ends_with("</svg>\n"));
    }
}
