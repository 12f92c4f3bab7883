package eval

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/gradus-ai/gradus/internal/agreement"
)

// labels says what each statistic is called in the report for people, and
// whether it is shown in points of 100.
var labels = map[string]struct {
	text   string
	points bool
}{
	"pearson":              {"Pearson", false},
	"spearman":             {"Spearman", false},
	"pearson_per_question": {"Pearson within questions", false},
	"qwk":                  {"QWK on the human scale", false},
	"exact":                {"exact on the human scale", false},
	"acc2":                 {"right/wrong accuracy", false},
	"f1_2":                 {"right/wrong macro-F1", false},
	"mae":                  {"MAE, points of 100", true},
	"rmse":                 {"RMSE, points", true},
	"wrmse":                {"RMSE, bands weighted alike", true},
	"bias":                 {"bias, points (+ too kind)", true},
	"smd":                  {"standardised difference", false},
	"length_r":             {"length and residual, r", false},

	"crit_acc":            {"accuracy", false},
	"crit_f1":             {"macro-F1", false},
	"crit_kappa":          {"kappa", false},
	"crit_linear_kappa":   {"kappa, linear weights", false},
	"crit_qwk":            {"kappa, quadratic weights", false},
	"crit_met_bias":       {"met-rate bias (+ too kind)", false},
	"crit_tpr":            {"met found (TPR)", false},
	"crit_tnr":            {"unmet found (TNR)", false},
	"crit_vs_rater_acc":   {"accuracy, single raters", false},
	"crit_vs_rater_kappa": {"kappa, single raters", false},

	"human_pearson":               {"Pearson", false},
	"human_qwk":                   {"QWK", false},
	"human_exact":                 {"exact", false},
	"human_mae":                   {"MAE, points of 100", true},
	"human_alpha":                 {"alpha", false},
	"human_alpha_with_judge":      {"alpha, the judge as a rater", false},
	"human_crit_acc":              {"criteria: accuracy", false},
	"human_crit_kappa":            {"criteria: kappa", false},
	"human_crit_alpha":            {"criteria: alpha", false},
	"human_crit_alpha_with_judge": {"criteria: alpha, and judge", false},

	"ece":       {"calibration error (ECE)", false},
	"brier":     {"Brier", false},
	"error_auc": {"errors told apart (AUC)", false},
	"caught_15": {"errors caught, reviewing 15 %", false},
	"risk_100":  {"share of errors, all kept", false},
	"risk_85":   {"share of errors, 85 % kept", false},
	"risk_50":   {"share of errors, 50 % kept", false},
}

// Print writes the report for a person.
func (r *Report) Print(w io.Writer) error {
	p := &printer{}
	p.head(r)
	p.section(&r.All, len(r.Datasets) > 0)
	for i := range r.Datasets {
		p.section(&r.Datasets[i], true)
	}
	p.worst(r.Worst)
	if _, err := io.WriteString(w, p.String()); err != nil || r.Calibrated == nil {
		return err
	}
	return r.Calibrated.Print(w)
}

type printer struct{ strings.Builder }

func (p *printer) f(format string, args ...any) { fmt.Fprintf(p, format, args...) }

func (p *printer) head(r *Report) {
	by := r.Judge + " judge"
	if r.Model != "" {
		by += " (" + plain(r.Model) + ")"
	}
	c := r.Counts
	p.f("%s, graded by the %s\n", plain(r.Gold), by)
	p.f("%s to %s: %d scored", count(c.Answers, "answer"), count(c.Questions, "question"), c.Scored)
	for _, part := range []struct {
		n    int
		what string
	}{{c.Abstained, "without a score"}, {c.Failed, "failed"}, {c.Missing, "not reached"}, {c.NeedsReview, "for review"}, {c.Corrected, "with a calibrated score"}, {c.Resumed, "from an earlier run"}, {c.Cached, "from the cache"}} {
		if part.n > 0 {
			p.f(", %d %s", part.n, part.what)
		}
	}
	p.f("\n")
	p.usage(r.Usage)
	if l := r.Latency; l != nil {
		p.f("an answer took %s, one in twenty longer than %s\n", seconds(l.P50), seconds(l.P95))
	}
	if c.CriteriaUnmatched > 0 {
		p.f("%d labelled criteria have no prediction\n", c.CriteriaUnmatched)
	}
}

func (p *printer) usage(u Usage) {
	if u.Calls == 0 {
		return
	}
	p.f("%s, %d prompt tokens (%d cached), %d completion tokens", count(u.Calls, "call"), u.PromptTokens, u.CachedTokens, u.CompletionTokens)
	if u.CostUSD != nil {
		p.f(", $%.4f", *u.CostUSD)
	}
	p.f("\n")
}

func (p *printer) section(s *Section, named bool) {
	p.f("\n")
	if named {
		p.f("== %s: %s, %s ==\n\n", plain(s.Name), count(s.Answers, "answer"), count(s.Questions, "question"))
	}
	if s.Answers == 0 {
		p.f("Nothing was scored.\n")
		return
	}
	interval := ""
	if s.Intervals.Rounds > 0 {
		interval = strings.Repeat(" ", 40) + "95 % interval"
	}
	p.f("Scores%s\n", interval)
	p.figures(s.Scores)
	if len(s.Criteria) > 0 {
		p.f("\nCriteria, %d judgements\n", s.CriterionJudgements)
		shown := s.Criteria
		if !s.ThreeLevels { // weights make no difference between two levels
			shown = slices.DeleteFunc(slices.Clone(shown), func(f Named) bool {
				return f.Name == "crit_linear_kappa" || f.Name == "crit_qwk"
			})
		}
		p.figures(shown)
	}
	if len(s.Humans) > 0 {
		p.f("\nPeople with each other, on the same answers\n")
		p.figures(s.Humans)
	}
	p.f("\nConfidence: %d of %d answers are errors (more than a quarter of the scale off)\n", s.Calibration.Errors, s.Answers)
	p.figures(s.Calibration.Answers)
	if len(s.Calibration.Criteria) > 0 {
		p.f("\nConfidence in single criteria\n")
		p.figures(s.Calibration.Criteria)
	}
	p.f("\n%-34s %8s  %8s  %8s\n", "Errors by human score", "answers", "MAE", "bias")
	for _, b := range s.Bands {
		p.f("  %-32s %8d  %8s  %8s\n", b.Name+" third", b.Answers, points(b.MAE, false), points(b.Bias, true))
	}
	p.f("\n")
	if s.Intervals.Rounds > 0 {
		what := "whole questions"
		if s.Intervals.By == agreement.ByRow {
			what = "single answers"
		}
		p.f("Intervals: %d draws of %s, seed %d.\n", s.Intervals.Rounds, what, s.Intervals.Seed)
		if s.Intervals.By == agreement.ByQuestion && s.Questions < someQuestions {
			p.f("With only %d questions they are too narrow.\n", s.Questions)
		}
	}
}

func (p *printer) figures(fs Figures) {
	for _, f := range fs {
		l := labels[f.Name]
		show := func(v agreement.Figure) string { return v.String() }
		if l.points {
			show = func(v agreement.Figure) string { return points(v, f.Name == "bias") }
		}
		p.f("  %-32s %8s", l.text, show(f.Value))
		if f.Low.Defined() {
			p.f("   %s to %s", show(f.Low), show(f.High))
		}
		p.f("\n")
	}
}

func (p *printer) worst(list []Disagreement) {
	if len(list) == 0 {
		return
	}
	p.f("\nFurthest from the human score\n")
	for _, d := range list {
		p.f("\n%s   human %.0f, judge %.0f, confidence %.2f\n", plain(d.AnswerID), 100*d.Human, 100*d.Score, d.Confidence)
		if d.Question != "" {
			p.f("  question  %s\n", oneLine(d.Question))
		}
		p.f("  answer    %s\n", oneLine(d.Answer))
		for _, id := range sortedKeys(d.Labels) {
			credit := "-"
			if c, ok := d.Criteria[id]; ok {
				credit = fmt.Sprintf("%.2f", c)
			}
			p.f("  %-9s human %.2g, judge %s\n", plain(id), d.Labels[id], credit)
		}
	}
}

// points shows a figure on 0..1 in points of 100.
func points(f agreement.Figure, signed bool) string {
	v, ok := f.Value()
	switch {
	case !ok:
		return "-"
	case signed:
		return fmt.Sprintf("%+.1f", tenth(100*v))
	default:
		return fmt.Sprintf("%.1f", 100*v)
	}
}

// tenth rounds to what is shown, so that "-0.0" never is.
func tenth(v float64) float64 { return math.Round(10*v)/10 + 0 }

func seconds(s float64) string {
	switch {
	case s < 0.001:
		return fmt.Sprintf("%.0f µs", math.Round(s*1e6))
	case s < 1:
		return fmt.Sprintf("%.0f ms", math.Round(s*1e3))
	default:
		return fmt.Sprintf("%.1f s", s)
	}
}

func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// oneLine is a text on one line, without what a terminal would act on.
func oneLine(s string) string { return plain(strings.Join(strings.Fields(s), " ")) }

func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, s)
}
