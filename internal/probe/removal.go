package probe

import (
	"context"
	"fmt"
	"strings"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// removals takes out of the sample answer, for one criterion after the other,
// the sentences that prove it, and demands that exactly this criterion falls.
//
// Which sentences prove a criterion the judge says itself, by the evidence it
// gave on the full sample. Where it then finds another proof, that is removed
// as well, for a few rounds: a criterion that still stands is credited for
// something that is not there. Another criterion may fall only if the removed
// sentences were its evidence too.
func (p *prober) removals(ctx context.Context) error {
	if p.question.SampleAnswer == "" {
		return nil
	}
	full, err := p.grade(ctx, p.question, p.question.SampleAnswer)
	if err != nil {
		return fmt.Errorf("%s: %w", Removal, err)
	}
	text := split(p.question.SampleAnswer)
	for _, c := range p.question.Criteria {
		before := full.criterion(c.ID)
		if c.Kind == rubric.Pitfall || before.Credit <= 0 {
			continue // missed already: the sample probe tells of it
		}
		if err := p.removal(ctx, text, full, before); err != nil {
			return fmt.Errorf("%s of %s: %w", Removal, c.ID, err)
		}
	}
	return nil
}

func (p *prober) removal(ctx context.Context, text sentences, full *Outcome, before Criterion) error {
	most := before.Credit * (1 - p.limits.LostShare)
	r := Result{
		Question: p.question.ID, Probe: Removal, About: before.ID,
		Expected: fmt.Sprintf("%s at most %.2f without its sentences, and no other criterion down by more than %.2f", before.ID, most, p.limits.Tolerance),
	}
	removed := text.touched(before.Evidence)
	if len(removed) == 0 {
		r.Got = fmt.Sprintf("%s is credited %.2f without evidence", before.ID, before.Credit)
		p.results = append(p.results, r)
		return nil
	}

	var out *Outcome
	var after Criterion
	for round := 1; ; round++ {
		rest := text.without(removed)
		var err error
		if out, err = p.grade(ctx, p.question, rest.text()); err != nil {
			return err
		}
		after = out.criterion(before.ID)
		if after.Credit <= most || round >= p.limits.MaxRounds {
			break
		}
		found := false
		for i := range rest.touched(after.Evidence) {
			if !removed[rest[i].index] {
				removed[rest[i].index] = true
				found = true
			}
		}
		if !found {
			break
		}
	}

	var fell, shared []string
	for _, c := range p.question.Criteria {
		was, is := full.criterion(c.ID), out.criterion(c.ID)
		if c.ID == before.ID || c.Kind == rubric.Pitfall || was.Credit-is.Credit <= p.limits.Tolerance {
			continue
		}
		change := fmt.Sprintf("%s (%.2f to %.2f)", c.ID, was.Credit, is.Credit)
		if overlap(removed, text.touched(was.Evidence)) {
			shared = append(shared, change)
		} else {
			fell = append(fell, change)
		}
	}
	r.Score = out.Score
	r.Passed = after.Credit <= most && len(fell) == 0
	r.Got = fmt.Sprintf("%s %.2f to %.2f", before.ID, before.Credit, after.Credit)
	if len(fell) > 0 {
		r.Got += ", and down went " + list(fell)
	}
	r.Note = fmt.Sprintf("%d of %d sentences removed", len(removed), len(text))
	if len(shared) > 0 {
		r.Note += "; they also prove " + list(shared)
	}
	p.results = append(p.results, r)
	return nil
}

// sentence is one sentence with the white space behind it.
type sentence struct {
	runes []rune
	start int // in the text it is part of, in code points
	index int // in the full text
}

type sentences []sentence

// split cuts a text into sentences: after a full stop, question or exclamation
// mark or semicolon (with closing quotes and brackets) that white space
// follows, and at line ends. A full stop before a lower-case word, as in
// "e.g. a canary", ends nothing.
func split(text string) sentences {
	runes := []rune(text)
	var all sentences
	start := 0
	cut := func(end int) {
		if strings.TrimSpace(string(runes[start:end])) == "" {
			return
		}
		all = append(all, sentence{runes: runes[start:end], start: start, index: len(all)})
		start = end
	}
	for i := 0; i < len(runes); i++ {
		if runes[i] == '\n' {
			cut(i + 1)
			continue
		}
		if !strings.ContainsRune(".!?;", runes[i]) {
			continue
		}
		end := i + 1
		for end < len(runes) && strings.ContainsRune(".!?)]\"'”’»", runes[end]) {
			end++
		}
		next := end
		for next < len(runes) && (runes[next] == ' ' || runes[next] == '\t') {
			next++
		}
		if next < len(runes) && (next == end || runes[i] == '.' && isLower(runes[next])) {
			continue
		}
		cut(next)
		i = next - 1
	}
	cut(len(runes))
	return all
}

func isLower(r rune) bool { return r >= 'a' && r <= 'z' }

func (s sentences) text() string {
	var b strings.Builder
	for _, one := range s {
		b.WriteString(string(one.runes))
	}
	return strings.TrimRight(b.String(), " \t\n")
}

// touched is the positions in s of the sentences in which evidence stands.
func (s sentences) touched(evidence []Span) map[int]bool {
	positions := make(map[int]bool)
	for i, one := range s {
		// Evidence that ends in the white space between sentences does not
		// reach the next one.
		end := one.start + len([]rune(strings.TrimRight(string(one.runes), " \t\n")))
		for _, e := range evidence {
			if e.Start < end && e.End > one.start {
				positions[i] = true
			}
		}
	}
	return positions
}

// without is the text that is left when sentences are removed, by index.
func (s sentences) without(removed map[int]bool) sentences {
	var rest sentences
	at := 0
	for _, one := range s {
		if removed[one.index] {
			continue
		}
		rest = append(rest, sentence{runes: one.runes, start: at, index: one.index})
		at += len(one.runes)
	}
	return rest
}

func overlap(a, b map[int]bool) bool {
	for i := range a {
		if b[i] {
			return true
		}
	}
	return false
}
