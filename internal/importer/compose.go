package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// Fewest and most criteria of a drafted question, as package rubric lints them.
const (
	fewest = 5
	most   = 9
)

// heaviest is the largest weight that a drafted core criterion gets.
const heaviest = 25

// longestClaim is the longest text, in bytes, that is put as one claim.
const longestClaim = 400

// pitfallWeight is what a pitfall costs in a draft.
const pitfallWeight = -5

// ErrNoProposal is wrapped by what a Proposer returns when it was asked and had
// nothing usable to say about one question; the rules draft it instead.
var ErrNoProposal = errors.New("no usable proposal")

// Proposer drafts the criteria of a question in place of the rules. Weights of
// core criteria may be in any proportion: they are made points here, and ids
// are made of the statements. The error
// wraps ErrNoProposal for a question it could not do, and anything else ends the
// import.
type Proposer interface {
	Propose(ctx context.Context, q Proposal) ([]rubric.Criterion, error)
}

// Proposal is what a Proposer gets to see.
type Proposal struct {
	Question, Intent, Guidance, SampleAnswer string
	Kind                                     rubric.Kind
}

// Options of a draft.
type Options struct {
	// ID of the set; empty means one made of the page's title.
	ID string
	// Title of the set; empty means the page's.
	Title string
	// Source names the page in the draft's opening comment.
	Source string
	// Proposer drafts criteria; nil leaves that to the rules.
	Proposer Proposer
	// Progress hears of each question that is done; nil for nobody.
	Progress func(done, of int)
}

// Draft is a set for a person to read and to put right.
type Draft struct {
	Set *rubric.Set
	// Source names the page it was made of.
	Source string
	// Fallback are the ids of questions that the Proposer could not do.
	Fallback []string
	notes    map[string][]string // by pointer: "question" or "question/criterion"
}

// Compose drafts a set of a page. Its error is the Proposer's.
func Compose(ctx context.Context, page *Page, o Options) (*Draft, error) {
	set := &rubric.Set{Version: rubric.Version, ID: o.ID, Title: o.Title}
	if set.Title == "" {
		set.Title = page.Title
	}
	if set.ID == "" {
		set.ID = slug(set.Title)
	}
	if set.ID == "" || set.ID == rubric.InlineSet {
		set.ID = "draft"
	}
	d := &Draft{Set: set, Source: o.Source, notes: make(map[string][]string)}
	ids := make(map[string]bool)
	for _, e := range page.Entries {
		if e.ID != "" {
			ids[e.ID] = true
		}
	}
	for i, e := range page.Entries {
		q := &rubric.Question{ID: e.ID, Kind: rubric.Kind(e.Kind), Text: e.Question, Intent: e.Intent, Guidance: e.Guidance, SampleAnswer: e.SampleAnswer}
		if q.ID == "" {
			q.ID = unused(idOf(asked(e.Question), filler, idOf(e.Question, filler, "question")), ids)
		}
		if q.Kind == "" {
			q.Kind = kindOf(e.Question)
		}
		if err := d.question(ctx, q, o.Proposer); err != nil {
			return nil, fmt.Errorf("draft %s: %w", q.ID, err)
		}
		set.Questions = append(set.Questions, q)
		if o.Progress != nil {
			o.Progress(i+1, len(page.Entries))
		}
	}
	return d, nil
}

// question drafts one question.
func (d *Draft) question(ctx context.Context, q *rubric.Question, proposer Proposer) error {
	r := split(q.Guidance)
	if q.Intent == "" {
		q.Intent = r.intent
	}
	if q.Intent == "" {
		d.note(q.ID, "say in `intent` what the interviewer wants to learn; the page does not")
	}
	if q.Guidance == "" {
		d.note(q.ID, "the page has no guidance here; the criteria are made of the question alone")
	}
	if q.SampleAnswer == "" {
		d.note(q.ID, "the page has no sample answer here; write one of 40 words or more")
	}
	if proposer != nil {
		proposed, err := proposer.Propose(ctx, Proposal{q.Text, q.Intent, q.Guidance, q.SampleAnswer, q.Kind})
		switch {
		case err == nil:
			d.note(q.ID, "the criteria below are a model's proposal: read each before it grades anybody")
			ids := make(map[string]bool)
			for i := range proposed {
				proposed[i].ID = unused(idOf(afterVerb(proposed[i].Statement), little, "claim"), ids)
			}
			q.Criteria = weighed(proposed)
			return nil
		case !errors.Is(err, ErrNoProposal):
			return err
		}
		d.Fallback = append(d.Fallback, q.ID)
		d.note(q.ID, "the model had no usable proposal; these criteria are made by rule")
	}
	for _, s := range r.unread {
		d.note(q.ID, "no criterion comes of this sentence of the guidance: "+s)
	}
	claims := d.claims(q, r)
	phrases, poor := phrase(claims, q.Text, q.SampleAnswer)
	ids := make(map[string]bool)
	units := make([]rubric.Criterion, len(claims))
	for i, c := range claims {
		units[i] = rubric.Criterion{
			ID: unused(c.name(), ids), Statement: upper(c.statement), Weight: c.units, Partial: c.partial, Hint: c.hint,
			Phrases: phrases[i], Kind: c.kind, Signal: c.signal,
		}
		if c.note != "" {
			d.note(q.ID+"/"+units[i].ID, c.note)
		}
	}
	if len(poor) > 0 {
		var names []string
		for _, i := range poor {
			names = append(names, units[i].ID)
		}
		d.note(q.ID, "write phrases for "+strings.Join(names, ", ")+": how would a candidate say it? The page does not tell")
	}
	q.Criteria = weighed(units)
	return nil
}

// afterVerb is a statement without the verb that it opens with.
func afterVerb(statement string) string {
	if _, rest, found := strings.Cut(statement, " "); found {
		return rest
	}
	return statement
}

// claims is what a question's criteria claim, five to nine of them where that
// can be had.
func (d *Draft) claims(q *rubric.Question, r reading) []claim {
	var claims []claim
	for _, p := range r.parts {
		if len(p.rest) > longestClaim {
			d.note(q.ID, "no criterion comes of one sentence of the guidance, which is too long for a claim")
			continue
		}
		claims = addClaim(claims, p.claim())
	}
	if q.Kind == rubric.Behavioural {
		claims = told(q.Text, claims)
	}
	core := func() int {
		n := 0
		for _, c := range claims {
			if c.kind == rubric.Core {
				n++
			}
		}
		return n
	}
	inDashes, inBrackets := listsOf(q.Text)
	for _, more := range [][]claim{inDashes, asksOf(q.Text), inBrackets, reserve(q.Kind)} {
		if core() >= fewest {
			break
		}
		for i, c := range more {
			// A list is taken whole, for half of it would be arbitrary.
			if core() >= fewest && (c.note != "" || i == 0 || !strings.HasPrefix(c.statement, "Addresses")) || core() == most {
				break
			}
			claims = addClaim(claims, c)
		}
	}
	for core() > 0 && len(claims) > most {
		before := len(claims)
		if claims = d.joined(q.ID, claims); len(claims) == before {
			break
		}
	}
	return claims
}

// addClaim appends a claim that is not made yet.
func addClaim(claims []claim, c claim) []claim {
	mine := content(c.about)
	for _, other := range claims {
		theirs := content(other.about)
		if len(mine) == 0 || len(theirs) == 0 {
			if strings.EqualFold(c.statement, other.statement) {
				return claims
			}
			continue
		}
		common := 0
		for s := range mine {
			if theirs[s] {
				common++
			}
		}
		if common == len(mine) && common == len(theirs) || common >= 2 && float64(common) >= 0.75*float64(min(len(mine), len(theirs))) {
			return claims
		}
	}
	return append(claims, c)
}

// joined makes one claim of the two that are nearest in kind: neighbours from
// the same clause, from the end. What is left has one less, or as many where
// nothing can be joined.
func (d *Draft) joined(question string, claims []claim) []claim {
	for i := len(claims) - 1; i > 0; i-- {
		a, b := &claims[i-1], &claims[i]
		openingA, _, _ := strings.Cut(a.statement, " ")
		openingB, restB, _ := strings.Cut(b.statement, " ")
		if a.group == 0 || a.group != b.group || a.signal != "" || b.signal != "" || a.kind != b.kind || openingA != openingB || strings.Contains(a.statement, " or ") {
			continue
		}
		a.statement += " or " + strings.TrimPrefix(restB, "evidence of ")
		a.about += " or " + b.about
		a.examples = append(a.examples, b.examples...)
		a.units += b.units / 2
		a.note = "two things that guidance asks for, joined to stay within nine criteria: split them and drop something else, or keep them"
		return slices.Delete(claims, i, i+1)
	}
	for i := len(claims) - 1; i > 0; i-- {
		if claims[i].kind == rubric.Core && claims[i].group != 0 {
			d.note(question, "left out, to stay within nine criteria: "+claims[i].statement)
			return slices.Delete(claims, i, i+1)
		}
	}
	return claims
}

// weighed gives core criteria whole weights that add up to 100, none above 25
// where there are enough of them, by the largest remainders; pitfalls and
// bonuses get small ones.
func weighed(criteria []rubric.Criterion) []rubric.Criterion {
	var core []int
	bonus := 0
	for i := range criteria {
		switch c := &criteria[i]; c.Kind {
		case rubric.Pitfall:
			if c.Weight > pitfallWeight || c.Weight < 2*pitfallWeight {
				c.Weight = pitfallWeight
			}
		case rubric.Bonus:
			bonus++
		default:
			core = append(core, i)
		}
	}
	for i := range criteria {
		if criteria[i].Kind == rubric.Bonus {
			criteria[i].Weight = float64(max(1, 5/bonus))
		}
	}
	shares := make([]float64, len(core))
	for k, i := range core {
		shares[k] = criteria[i].Weight
	}
	for k, points := range apportion(shares, rubric.CoreTotal, heaviest) {
		criteria[core[k]].Weight = float64(points)
	}
	return criteria
}

// apportion gives out total whole points in proportion to shares, at least one
// and at most limit to each (more where limit would leave points over), by the
// largest remainders; of equal ones the first gets more.
func apportion(shares []float64, total, limit int) []int {
	n := len(shares)
	points := make([]int, n)
	if n == 0 {
		return points
	}
	limit = max(limit, (total+n-1)/n)
	want := make([]float64, n)
	full := make([]bool, n)
	for left := float64(total); ; {
		sum := 0.0
		for i, s := range shares {
			if !full[i] {
				sum += max(s, 0.01)
			}
		}
		again := false
		for i, s := range shares {
			if full[i] {
				continue
			}
			if want[i] = left * max(s, 0.01) / sum; want[i] > float64(limit) {
				want[i], full[i], again = float64(limit), true, true
			}
		}
		if !again {
			break
		}
		left = float64(total)
		for i := range want {
			if full[i] {
				left -= want[i]
			}
		}
	}
	given := 0
	for i, w := range want {
		points[i] = max(1, int(w))
		given += points[i]
	}
	for ; given != total; given += sign(total - given) {
		best := -1
		for i, w := range want {
			rest := w - float64(points[i])
			if given < total && points[i] < limit && (best < 0 || rest > want[best]-float64(points[best])+1e-9) ||
				given > total && points[i] > 1 && (best < 0 || rest < want[best]-float64(points[best])-1e-9) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		points[best] += sign(total - given)
	}
	return points
}

func sign(n int) int {
	if n < 0 {
		return -1
	}
	return 1
}

func (d *Draft) note(at, what string) { d.notes[at] = append(d.notes[at], what) }
