//! How well scores tell two kinds of examples apart, and which of them are the highest.

/// The area under the ROC curve: the chance that a positive example has a higher score than a negative one, where equal
/// scores count half. It is the Mann-Whitney statistic U / (P N) with midranks (Mann and Whitney 1947; Hanley and McNeil
/// 1982). None where one of the kinds is missing.
///
/// ```
/// use vae_gpu::train::ranking::auroc;
/// assert_eq!(auroc(&[1.0, 2.0, 2.0, 3.0], &[false, false, true, true]), Some(0.875));
/// ```
///
/// # Panics
/// Where the lengths differ.
pub fn auroc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let (mut below, mut pairs) = (0, 0.0); // negatives of lower scores; pairs in the right order
    for [positives, negatives] in levels(scores, positive).into_iter().rev() {
        pairs += positives as f64 * (below as f64 + 0.5 * negatives as f64);
        below += negatives;
    }
    let positives = positive.iter().filter(|&&positive| positive).count();
    (positives > 0 && below > 0).then(|| pairs / (positives as f64 * below as f64))
}

/// The average precision: over the distinct scores from the highest down, the sum of `(R_n - R_{n-1}) P_n`, where P_n and R_n
/// are precision and recall of the examples with that score or a higher one; no interpolation, as scikit-learn's
/// `average_precision_score` (Pedregosa et al. 2011) computes it. None where one of the kinds is missing.
///
/// # Panics
/// Where the lengths differ.
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let (mut found, mut taken, mut sum) = (0, 0, 0.0);
    for [positives, negatives] in levels(scores, positive) {
        found += positives;
        taken += positives + negatives;
        sum += positives as f64 * found as f64 / taken as f64;
    }
    (found > 0 && taken > found).then(|| sum / found as f64)
}

/// The `count`-th highest score, from 1: those that are not below it are at least so many.
///
/// # Panics
/// Where there are not so many scores, or `count` is 0.
pub fn nth_highest(scores: &[f64], count: usize) -> f64 {
    let mut sorted = scores.to_vec();
    *sorted.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1
}

/// The middle score, or the mean of the two middle ones; NaN of none.
pub fn median(scores: &[f64]) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n => 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]),
    }
}

/// Positions by score, the highest first; of equal scores the first example.
pub fn by_score(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order
}

/// How many examples, positive and negative, have each distinct score, from the highest down.
fn levels(scores: &[f64], positive: &[bool]) -> Vec<[usize; 2]> {
    assert_eq!(scores.len(), positive.len(), "an example has a score and a kind");
    let mut levels: Vec<[usize; 2]> = Vec::new();
    let mut last = None;
    for at in by_score(scores) {
        if last != Some(scores[at]) {
            levels.push([0, 0]);
            last = Some(scores[at]);
        }
        if let Some(level) = levels.last_mut() {
            level[usize::from(!positive[at])] += 1;
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: bool = false;
    const T: bool = true;

    #[test]
    fn areas_are_those_counted_by_hand() {
        // The example of scikit-learn's documentation of both.
        let (scores, positive) = ([0.1, 0.4, 0.35, 0.8], [F, F, T, T]);
        assert_eq!(auroc(&scores, &positive), Some(0.75)); // 3 of 4 pairs
        assert_eq!(average_precision(&scores, &positive), Some(0.5 * 1.0 + 0.5 * 2.0 / 3.0));
        assert_eq!(auroc(&[1.0, 2.0, 3.0], &[F, T, T]), Some(1.0));
        assert_eq!(auroc(&[3.0, 2.0, 1.0], &[F, T, T]), Some(0.0));
        assert_eq!(average_precision(&[3.0, 2.0, 1.0], &[F, T, T]), Some(0.5 * 0.5 + 0.5 * 2.0 / 3.0));
    }

    #[test]
    fn equal_scores_count_half_and_are_taken_together() {
        // Pairs: (2, 1) 1, (2, 2) 1/2, (3, 1) 1, (3, 2) 1, of 4.
        assert_eq!(auroc(&[1.0, 2.0, 2.0, 3.0], &[F, F, T, T]), Some(3.5 / 4.0));
        // Levels: 3 {1 of 1}, 2 {2 of 3}, 1 {2 of 4}: 1/2 * 1 + 1/2 * 2/3 + 0.
        assert_eq!(average_precision(&[1.0, 2.0, 2.0, 3.0], &[F, F, T, T]), Some(0.5 + 0.5 * 2.0 / 3.0));
        for order in [[T, F, F], [F, T, F], [F, F, T]] {
            assert_eq!(auroc(&[5.0; 3], &order), Some(0.5), "{order:?}");
            assert_eq!(average_precision(&[5.0; 3], &order), Some(1.0 / 3.0), "{order:?}");
        }
        assert_eq!(auroc(&[0.0, -0.0], &[F, T]), Some(0.5));
    }

    #[test]
    fn one_kind_alone_has_no_area() {
        for positive in [[F, F], [T, T]] {
            assert_eq!((auroc(&[1.0, 2.0], &positive), average_precision(&[1.0, 2.0], &positive)), (None, None));
        }
        assert_eq!((auroc(&[], &[]), average_precision(&[], &[])), (None, None));
    }

    #[test]
    fn the_middle_and_the_highest() {
        assert_eq!([median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 3.0])], [2.0, 2.5]);
        assert!(median(&[]).is_nan());
        assert_eq!([1, 2, 3].map(|count| nth_highest(&[5.0, 9.0, 7.0], count)), [9.0, 7.0, 5.0]);
        assert_eq!(by_score(&[5.0, 9.0, 5.0, 7.0]), [1, 3, 0, 2]);
    }
}
