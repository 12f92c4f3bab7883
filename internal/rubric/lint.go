package rubric

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// Severity says how sure a finding is.
type Severity string

// Error is a rule that can be counted and that the shipped sets keep without
// exception. Warning is a reading of prose, which may be mistaken: a person
// should look.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Finding is one place where a valid set is not well written.
type Finding struct {
	Path string `json:"path"`
	Line int    `json:"line"`
	// Question and Criterion are local ids; empty where the finding is about
	// the whole set or the whole question.
	Question  string   `json:"question,omitempty"`
	Criterion string   `json:"criterion,omitempty"`
	Rule      string   `json:"rule"`
	Severity  Severity `json:"severity"`
	// Message says what was found and, where that is not plain, what to do.
	Message string `json:"message"`
}

// String is "path:line: severity: question/criterion: message [rule]".
func (f Finding) String() string {
	where := f.Question
	if f.Criterion != "" {
		where += "/" + f.Criterion
	}
	if where != "" {
		where += ": "
	}
	return fmt.Sprintf("%s:%d: %s: %s%s [%s]", f.Path, f.Line, f.Severity, where, f.Message, f.Rule)
}

// Rule is one form rule.
type Rule struct {
	ID string
	// Meaning says what a well-written set does.
	Meaning  string
	Severity Severity
}

// Rules lists the form rules in the order in which they are checked.
func Rules() []Rule {
	all := make([]Rule, len(rules))
	for i, r := range rules {
		all[i] = r.Rule
	}
	return all
}

// Lint checks how a loaded set is written. A set with findings can still be
// graded by; it will be graded less well. Findings are in the order of the
// file.
func Lint(set *Set) []Finding {
	var findings []Finding
	for _, r := range rules {
		l := &linter{set: set, rule: r.Rule}
		if r.ofSet != nil {
			r.ofSet(l, set)
		}
		for i, q := range set.Questions {
			if r.ofQuestion == nil {
				break
			}
			l.question, l.at = q, "/questions/"+strconv.Itoa(i)
			r.ofQuestion(l, q)
		}
		findings = append(findings, l.findings...)
	}
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return findings
}

// rule is a Rule with its check; exactly one of the two is set.
type rule struct {
	Rule
	ofSet      func(*linter, *Set)
	ofQuestion func(*linter, *Question)
}

// linter collects the findings of one rule.
type linter struct {
	set      *Set
	rule     Rule
	question *Question
	at       string // pointer of the question
	findings []Finding
}

// found notes a finding about a field of the question, or the question.
func (l *linter) found(field, format string, args ...any) {
	l.note("", l.at+"/"+field, format, args...)
}

// foundAt notes a finding about a field of the i-th criterion.
func (l *linter) foundAt(i int, field, format string, args ...any) {
	l.note(l.question.Criteria[i].ID, l.at+"/criteria/"+strconv.Itoa(i)+"/"+field, format, args...)
}

func (l *linter) note(criterion, pointer, format string, args ...any) {
	f := Finding{
		Path: l.set.path, Line: lookup(l.set.places, pointer).line,
		Criterion: criterion, Rule: l.rule.ID, Severity: l.rule.Severity,
		Message: fmt.Sprintf(format, args...),
	}
	if l.question != nil {
		f.Question = l.question.ID
	}
	l.findings = append(l.findings, f)
}

// eachCriterion is a check of every criterion by itself.
func eachCriterion(check func(l *linter, i int, c *Criterion)) func(*linter, *Question) {
	return func(l *linter, q *Question) {
		for i := range q.Criteria {
			check(l, i, &q.Criteria[i])
		}
	}
}
