package eval

import (
	"slices"

	"github.com/gradus-ai/gradus/internal/agreement"
)

// ceilings says how people agree with each other, and, by the same measure,
// how that changes when the judge joins them as one more rater. Agreement of
// two raters is the mean over all pairs of raters.
func ceilings(m *material, b Bootstrap) Figures {
	var out Figures
	several := slices.DeleteFunc(slices.Clone(m.used), func(u used) bool { return len(u.row.HumanScores) < 2 })
	if len(several) > 0 {
		out = append(out, estimates(several, func(u *used) int { return u.group }, b, []statistic[used]{
			{"human_pearson", betweenScores(agreement.Pearson)},
			{"human_qwk", betweenScores(quadratic)},
			{"human_exact", betweenScores(agreement.Exact)},
			{"human_mae", betweenScores(agreement.MAE)},
			{"human_alpha", func(s []used, _ []int) agreement.Figure { return scoreAlpha(s, false) }},
			{"human_alpha_with_judge", func(s []used, _ []int) agreement.Figure { return scoreAlpha(s, true) }},
		})...)
	}
	voted := slices.DeleteFunc(slices.Clone(m.criteria), func(j judged) bool { return len(j.votes) < 2 })
	if len(voted) > 0 {
		out = append(out, estimates(voted, func(j *judged) int { return j.group }, b, []statistic[judged]{
			{"human_crit_acc", betweenVotes(agreement.Exact)},
			{"human_crit_kappa", betweenVotes(weighted(agreement.Unweighted))},
			{"human_crit_alpha", func(s []judged, _ []int) agreement.Figure { return voteAlpha(s, false) }},
			{"human_crit_alpha_with_judge", func(s []judged, _ []int) agreement.Figure { return voteAlpha(s, true) }},
		})...)
	}
	return out
}

func betweenScores(f func(x, y []float64) agreement.Figure) func([]used, []int) agreement.Figure {
	return func(s []used, _ []int) agreement.Figure {
		raters := 0
		for i := range s {
			if n := len(s[i].row.HumanScores); i == 0 || n < raters {
				raters = n
			}
		}
		return between(raters, func(k int) []float64 {
			return column(s, func(u *used) float64 { return u.row.HumanScores[k] / u.row.MaxScore })
		}, f)
	}
}

func betweenVotes(f func(x, y []float64) agreement.Figure) func([]judged, []int) agreement.Figure {
	return func(s []judged, _ []int) agreement.Figure {
		return between(fewest(s), func(k int) []float64 {
			return column(s, func(j *judged) float64 { return j.votes[k] })
		}, f)
	}
}

// between is the mean of a measure over all pairs of raters.
func between(raters int, rater func(k int) []float64, f func(x, y []float64) agreement.Figure) agreement.Figure {
	columns := make([][]float64, raters)
	for k := range columns {
		columns[k] = rater(k)
	}
	var figures []agreement.Figure
	for i := range columns {
		for _, other := range columns[i+1:] {
			figures = append(figures, f(columns[i], other))
		}
	}
	return agreement.MeanOf(figures...)
}

func scoreAlpha(s []used, withJudge bool) agreement.Figure {
	units := make([][]float64, len(s))
	for i := range s {
		for _, h := range s[i].row.HumanScores {
			units[i] = append(units[i], h/s[i].row.MaxScore)
		}
		if v, ok := s[i].rounded.Value(); ok && withJudge {
			units[i] = append(units[i], v)
		}
	}
	return agreement.Alpha(units, agreement.Interval)
}

func voteAlpha(s []judged, withJudge bool) agreement.Figure {
	units := make([][]float64, len(s))
	for i := range s {
		units[i] = slices.Clone(s[i].votes)
		if withJudge {
			units[i] = append(units[i], agreement.Scale{0, 1}.Nearest(s[i].rounded))
		}
	}
	return agreement.Alpha(units, agreement.Nominal)
}
