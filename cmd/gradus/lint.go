package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/probe"
	"github.com/gradus-ai/gradus/internal/rubric"
)

func newLint(tty *terminal) *cobra.Command {
	var asJSON, probing, rules bool
	cmd := &cobra.Command{
		Use:   "lint [PATH ...]",
		Short: "Check question sets",
		Long: "Validates question sets (files or folders; without a path those in use) and says\n" +
			"where one is not well written. With --probe it grades, with the judge in force,\n" +
			"answers whose grade is known: samples, echoes, keyword lists, orders to the grader.",
		Example: "gradus lint rubrics/\ngradus lint --probe my-set.yaml",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if rules {
				return printRules(tty)
			}
			a, err := open(cmd, tty)
			if err != nil {
				return err
			}
			defer a.Close()
			sets := a.Library().Sets()
			if len(args) > 0 {
				if sets, err = readSets(args); err != nil {
					return err
				}
			}
			report := lintReport{Findings: []rubric.Finding{}}
			for _, set := range sets {
				report.Findings = append(report.Findings, rubric.Lint(set)...)
			}
			if probing {
				if report.Probes, err = runProbes(cmd.Context(), a, sets, tty); err != nil {
					return err
				}
			}
			if asJSON {
				err = printJSON(tty.out, report)
			} else {
				report.print(tty, len(sets))
			}
			return errors.Join(err, report.verdict())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&probing, "probe", false, "grade answers whose grade is known, with the judge in force")
	cmd.Flags().BoolVar(&rules, "rules", false, "list the rules and end")
	return cmd
}

// lintReport is everything that lint found.
type lintReport struct {
	Findings []rubric.Finding `json:"findings"`
	Probes   []*probe.Report  `json:"probes,omitempty"`
}

func (r *lintReport) print(tty *terminal, sets int) {
	for _, f := range r.Findings {
		fmt.Fprintln(tty.out, f)
	}
	for _, p := range r.Probes {
		fmt.Fprint(tty.out, p.Text())
	}
	fmt.Fprintf(tty.err, "%s checked, %s\n", count(sets, "set"), count(len(r.Findings), "finding"))
}

// verdict is the code to end with: a rule that is an error is a fault of the
// rubric, a missed probe is a missed gate.
func (r *lintReport) verdict() error {
	for _, f := range r.Findings {
		if f.Severity == rubric.Error {
			return &exitError{exitUsage}
		}
	}
	for _, p := range r.Probes {
		if !p.Passed() {
			return &exitError{exitGate}
		}
	}
	return nil
}

func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

func printRules(tty *terminal) error {
	for _, r := range rubric.Rules() {
		fmt.Fprintf(tty.out, "%-22s %-8s %s\n", r.ID, r.Severity, r.Meaning)
	}
	return nil
}

// readSets reads files and folders, and reports every fault of all of them.
func readSets(paths []string) ([]*rubric.Set, error) {
	var (
		sets   []*rubric.Set
		faults []error
	)
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, usage(err)
		}
		var found []*rubric.Set
		if info.IsDir() {
			found, err = rubric.LoadFS(os.DirFS(path))
		} else {
			found, err = readSet(path)
		}
		switch {
		case err != nil:
			faults = append(faults, err)
		case len(found) == 0:
			faults = append(faults, usage(fmt.Errorf("no question sets in %s", filepath.ToSlash(path))))
		}
		sets = append(sets, found...)
	}
	return sets, errors.Join(faults...)
}

func readSet(path string) ([]*rubric.Set, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, usage(err)
	}
	set, err := rubric.Parse(path, data)
	if err != nil {
		return nil, err
	}
	return []*rubric.Set{set}, nil
}

// runProbes probes every set with the judge in force.
func runProbes(ctx context.Context, a *app.App, sets []*rubric.Set, tty *terminal) ([]*probe.Report, error) {
	service, err := a.Probing()
	if err != nil {
		return nil, err
	}
	var reports []*probe.Report
	for _, set := range sets {
		fmt.Fprintf(tty.err, "probing %s: %s\n", set.ID, count(len(set.Questions), "question"))
		report, err := probe.Run(ctx, set, prober(service, ""), probe.Options{Concurrency: runtime.GOMAXPROCS(0)})
		if err != nil {
			return nil, err
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// prober shows the probes what they need to see of a grade by a judge: by is as
// in grading.Request.
func prober(service *grading.Service, by string) probe.Grader {
	return func(ctx context.Context, q *rubric.Question, answer string) (*probe.Outcome, error) {
		result, err := service.Grade(ctx, grading.Request{Tenant: app.LocalTenant, Question: q, Answer: answer, Judge: by})
		if err != nil {
			return nil, err
		}
		grade, err := result.Record.Grade()
		if err != nil {
			return nil, err
		}
		outcome := &probe.Outcome{Score: grade.Score}
		for _, c := range grade.Criteria {
			shown := probe.Criterion{ID: c.ID, Kind: c.Kind, Verdict: string(c.Verdict), Credit: c.Credit}
			if c.Verdict == judge.CannotAssess {
				shown.Credit = 0
			}
			for _, e := range c.Evidence {
				shown.Evidence = append(shown.Evidence, probe.Span{Start: e.Start, End: e.End})
			}
			outcome.Criteria = append(outcome.Criteria, shown)
		}
		return outcome, nil
	}
}
