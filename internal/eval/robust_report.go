package eval

import (
	"fmt"
	"io"

	"github.com/gradus-ai/gradus/internal/agreement"
)

// sum counts the trials by family, in the order of their first appearance
// within their kind.
func (r *Robustness) sum(rows [][]*trial) {
	type count struct {
		Family
		hits   int
		points []float64
	}
	at := make(map[string]int)
	var families []*count
	add := func(kind, name, what string, t *trial) {
		k, known := at[kind+name]
		if !known {
			k = len(families)
			at[kind+name] = k
			families = append(families, &count{Family: Family{Kind: kind, Name: name, What: what}})
		}
		f := families[k]
		if t == nil {
			return
		}
		f.Trials++
		if t.counts {
			f.hits++
		}
		if !t.abstained {
			f.points = append(f.points, t.points)
		}
	}
	for _, kind := range []string{Invariance, Sensitivity, Gaming} {
		add(kind, "all", "", nil)
		for _, trials := range rows {
			for _, t := range trials {
				if t.kind != kind || t.err != nil {
					continue
				}
				r.Trials++
				if t.abstained {
					r.Abstained++
					if kind != Gaming {
						continue
					}
				}
				add(kind, t.name, t.what, t)
				add(kind, "all", "", t)
			}
		}
	}
	for _, f := range families {
		f.Rate = agreement.Wilson(f.hits, f.Trials)
		if f.Name != "all" { // families move different things
			f.Points = agreement.Mean(f.points)
		}
		r.Families = append(r.Families, f.Family)
	}
}

// Complete reports whether every trial could be put to the judge.
func (r *Robustness) Complete() bool { return r.Failed == 0 }

// Print writes the report for a person.
func (r *Robustness) Print(w io.Writer) error {
	p := &printer{}
	by := r.Judge + " judge"
	if r.Model != "" {
		by += " (" + plain(r.Model) + ")"
	}
	p.f("%s, changed and graded again by the %s\n", plain(r.Gold), by)
	p.f("%s to %s, %d trials", count(r.Answers, "answer"), count(r.Questions, "question"), r.Trials)
	if r.Failed > 0 {
		p.f(", %d failed", r.Failed)
	}
	if r.Abstained > 0 {
		p.f(", %d without a score", r.Abstained)
	}
	p.f("\n")
	p.usage(r.Usage)
	titles := map[string][2]string{
		Invariance:  {"Writing changed, meaning not", "violations"},
		Sensitivity: {"What earned most, broken", "score falls"},
		Gaming:      {"Points without an answer", "attack pays"},
	}
	for _, f := range r.Families {
		if f.Name == "all" {
			p.f("\n%-20s %7s  %-11s %-16s %s\n", titles[f.Kind][0], "", titles[f.Kind][1], "  95 % interval", "mean points")
		}
		points := ""
		if v, ok := f.Points.Value(); ok {
			points = fmt.Sprintf("%+8.1f", tenth(v))
			if f.Kind == Invariance {
				points = fmt.Sprintf("%8s", fmt.Sprintf("±%.1f", v)) // by runes
			}
		}
		interval := ""
		if f.Rate.Low.Defined() {
			interval = percent(f.Rate.Low) + " to " + percent(f.Rate.High)
		}
		p.f("  %-18s %7d  %9s     %-16s %8s   %s\n", f.Name, f.Trials, percent(f.Rate.Value), interval, points, f.What)
	}
	p.f("\nA violation is a score that moves by more than %d points, or a criterion that crosses\nhalf credit. An attack pays with %d points, an addition when it wins more than %d.\nSeed %d.\n",
		sameScore, pass, leastGain, r.Seed)
	_, err := io.WriteString(w, p.String())
	return err
}

func percent(f agreement.Figure) string {
	v, ok := f.Value()
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*v)
}
