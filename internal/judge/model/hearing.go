package model

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Reasons for a person to look, in the Doubts of a judgement, besides those of
// a model that gave nothing to judge by.
const (
	EvidenceNotFound   = "evidence_not_found"  // a verdict's quotes are not the candidate's own words
	EvidenceUnanchored = "evidence_unanchored" // a verdict's quotes have nothing to do with the criterion
	SecondLookFailed   = "second_look_failed"  // a doubt could not be settled
)

// maxLooks is how many second looks one answer may cost.
const maxLooks = 2

// secondConfidence is the confidence from which a second opinion is worth
// contesting a verdict over.
const secondConfidence = 0.65

// hearing is one answer on its way through the judge.
type hearing struct {
	judge  *Judge
	task   judge.Task
	sheet  *sheet
	mark   string
	ledger *ledger

	opinions []opinion
	second   []judge.Finding
	doubts   []string

	telling sync.Mutex
	said    map[int]judge.Finding
}

// opinion is what is held of one criterion so far.
type opinion struct {
	reading
	failed    string           // why there is no reading
	quotes    []evidence.Quote // those that stand
	anchored  bool             // some quote has to do with the criterion
	confirmed bool             // a reader who saw only the quotes agrees
}

// believed reports whether the verdict can stand as it is.
func (o *opinion) believed() bool {
	return !o.verdict.Credited() || len(o.quotes) > 0 && (o.anchored || o.confirmed)
}

// weigh checks the quotes of a reading of the criterion at index.
func (h *hearing) weigh(index int, r reading) opinion {
	o := opinion{reading: r}
	o.quotes, _ = evidence.Verify(h.task.Reading.Answer, h.sheet.reference, h.task.Reading.Integrity, r.quotes)
	o.anchored = h.sheet.anchored(index, o.quotes, 1)
	return o
}

// worn is the number of criteria from which one passage is worn out as proof:
// it may well prove them all, but then it speaks to each by more than a word.
const worn = 3

// distrustWorn unties passages that are the only proof of many criteria from
// those that they share but a single word with.
func (h *hearing) distrustWorn() {
	uses := map[evidence.Quote]int{}
	for i := range h.opinions {
		if o := &h.opinions[i]; o.verdict.Credited() && len(o.quotes) == 1 {
			uses[o.quotes[0]]++
		}
	}
	for i := range h.opinions {
		o := &h.opinions[i]
		if len(o.quotes) == 1 && uses[o.quotes[0]] >= worn && o.anchored {
			o.anchored = h.sheet.anchored(i, o.quotes, 2)
		}
	}
}

// readAll asks for all criteria in one call.
func (h *hearing) readAll(ctx context.Context, opening llm.Request) error {
	opening.Watch = h.watch()
	readings, reason, err := h.judge.ask(ctx, h.ledger, opening, len(h.opinions), h.task.Answer)
	if err != nil {
		return err
	}
	for i := range h.opinions {
		if reason != "" {
			h.opinions[i] = failure(reason)
		} else {
			h.opinions[i] = h.weigh(i, readings[i])
		}
		h.tell(i)
	}
	return nil
}

// readEach asks for each criterion in a call of its own.
func (h *hearing) readEach(ctx context.Context, openings []llm.Request) error {
	return bounded(ctx, len(h.opinions), h.judge.cfg.Parallel, func(ctx context.Context, i int) error {
		readings, reason, err := h.judge.ask(ctx, h.ledger, openings[i], 1, h.task.Answer)
		switch {
		case err != nil:
			return err
		case reason != "":
			h.opinions[i] = failure(reason)
		default:
			h.opinions[i] = h.weigh(i, readings[0])
		}
		h.tell(i)
		return nil
	})
}

// tell lets whoever waits know what is held of the criterion at index.
func (h *hearing) tell(index int) {
	if h.task.Decided != nil {
		h.say(index, &h.opinions[index])
	}
}

// say tells of an opinion unless that is known already.
func (h *hearing) say(index int, o *opinion) {
	f, _ := h.finding(index, o)
	h.telling.Lock()
	defer h.telling.Unlock()
	if before, said := h.said[index]; said && before.Verdict == f.Verdict && slices.Equal(before.Evidence, f.Evidence) {
		return
	}
	if h.said == nil {
		h.said = make(map[int]judge.Finding)
	}
	h.said[index] = f
	h.task.Decided(index, f)
}

// watch reads a reply about all criteria while it is written, and tells of each
// as soon as its part is whole. What counts is the reply as a whole, later.
func (h *hearing) watch() func(text string) {
	if h.task.Decided == nil {
		return nil
	}
	told, seen := 0, 0
	return func(text string) {
		if len(text) < seen {
			told, seen = 0, 0 // another attempt
		}
		ended := strings.Contains(text[seen:], "}")
		seen = len(text)
		if !ended {
			return
		}
		written := begun(text, len(h.opinions))
		for _, part := range written[min(told, len(written)):] {
			o := h.weigh(part.index, part.reading)
			h.say(part.index, &o)
		}
		told = len(written)
	}
}

func failure(reason string) opinion {
	return opinion{reading: reading{verdict: judge.CannotAssess}, failed: reason}
}

// opine forms the second opinion; nil where there is none, or none to be had:
// it is a help, and its failure fails nothing.
func (h *hearing) opine(ctx context.Context) []judge.Finding {
	if h.judge.cfg.Second == nil {
		return nil
	}
	second, err := h.judge.cfg.Second.Judge(ctx, h.task)
	if err != nil || len(second.Findings) != len(h.opinions) {
		return nil
	}
	return second.Findings
}

// look is a kind of second look.
type look int

const (
	noLook      look = iota
	atCriterion      // the same question about this criterion alone
	atQuotes         // do these quotes alone show the criterion?
)

// lookAgain takes second looks at the weightiest criteria in doubt.
func (h *hearing) lookAgain(ctx context.Context) error {
	h.distrustWorn()
	hopeless := h.hopeless()
	var doubtful []int
	for i := range h.opinions {
		if h.needs(i, hopeless) != noLook {
			doubtful = append(doubtful, i)
		}
	}
	criteria := h.task.Question.Criteria
	slices.SortStableFunc(doubtful, func(a, b int) int {
		return cmp.Compare(math.Abs(criteria[b].Weight), math.Abs(criteria[a].Weight))
	})
	for _, i := range doubtful[:min(len(doubtful), maxLooks)] {
		var usable bool
		var err error
		if h.needs(i, hopeless) == atQuotes {
			usable, err = h.lookAtQuotes(ctx, i)
		} else {
			usable, err = h.lookAtCriterion(ctx, i)
		}
		if err != nil && ctx.Err() != nil {
			return err // nobody waits any longer
		}
		if !usable {
			h.doubt(SecondLookFailed)
		}
		if err != nil {
			return nil //nolint:nilerr // the first call is paid for: keep what stands
		}
	}
	return nil
}

// needs decides which second look, if any, the criterion at index needs. Once
// every criterion has had a call of its own, only the look at the quotes can
// say anything new.
func (h *hearing) needs(index int, hopeless bool) look {
	o := &h.opinions[index]
	switch {
	case o.failed != "":
		return noLook
	case o.verdict.Credited() && len(o.quotes) > 0 && !o.anchored:
		if hopeless {
			return noLook
		}
		return atQuotes
	case h.judge.cfg.Thorough, len(h.opinions) == 1:
		return noLook
	case !o.believed(), o.verdict == judge.CannotAssess, h.unsure(o), h.contested(index):
		return atCriterion
	}
	return noLook
}

func (h *hearing) unsure(o *opinion) bool {
	return float64(o.confidence) < 100*h.judge.cfg.DoubtBelow
}

// contested reports whether the second opinion is strongly against the
// verdict: it found what the model misses, or it found the opposite of what the
// model credits. That it merely misses what the model credits counts for
// little: a judge without a model overlooks half of what excellent answers say
// in other words, and the model has shown the words that it went by.
func (h *hearing) contested(index int) bool {
	if h.second == nil || h.second[index].Confidence < secondConfidence {
		return false
	}
	o, s := &h.opinions[index], h.second[index]
	if s.Verdict == judge.Contradicted {
		return o.verdict.Credited()
	}
	return float64(s.Credit-o.verdict.Credit()) > h.judge.cfg.ContestAbove*judge.FullCredit
}

// hopeless reports whether quotes that have nothing to do with their criteria
// are not worth a look: because the answer tries to talk to its reader or
// hides something, or because there are more of them than looks and they are
// most of what is credited. One confirmed quote would then prove little.
func (h *hearing) hopeless() bool {
	if h.task.Reading.Integrity.Has(evidence.InstructionLike) || h.task.Reading.Integrity.Has(evidence.HiddenText) || h.task.Reading.Integrity.Has(evidence.KeywordStuffing) {
		return true
	}
	credited, adrift := 0, 0
	for i := range h.opinions {
		o := &h.opinions[i]
		if !o.verdict.Credited() || h.task.Question.Criteria[i].Kind == rubric.Pitfall {
			continue
		}
		credited++
		if !o.believed() {
			adrift++
		}
	}
	return adrift > maxLooks && 2*adrift > credited
}

// lookAtCriterion asks about one criterion alone. What that says replaces what
// was held, except that quotes which stood before are not lost.
func (h *hearing) lookAtCriterion(ctx context.Context, index int) (usable bool, err error) {
	rendered, err := h.judge.cfg.Prompts.Criterion(h.task.Question, index, h.task.Answer, h.mark)
	if err != nil {
		return false, err
	}
	r, usable, err := h.judge.askOnce(ctx, h.ledger, rendered, h.task.Answer)
	if !usable {
		return false, err
	}
	before := h.opinions[index]
	after := h.weigh(index, r)
	if after.verdict.Credited() && !after.believed() && before.anchored {
		after.quotes, after.anchored = before.quotes, true
	}
	h.opinions[index] = after
	h.tell(index)
	return true, nil
}

// lookAtQuotes asks whether the quotes alone show the criterion. The verdict
// can only fall by it.
func (h *hearing) lookAtQuotes(ctx context.Context, index int) (usable bool, err error) {
	o := &h.opinions[index]
	passages := make([]string, len(o.quotes))
	for i, quote := range o.quotes {
		passages[i] = quote.Text
	}
	rendered, err := h.judge.cfg.Prompts.Quote(h.task.Question, index, passages, h.mark)
	if err != nil {
		return false, err
	}
	r, usable, err := h.judge.askOnce(ctx, h.ledger, rendered, h.task.Answer)
	if !usable {
		return false, err
	}
	o.confirmed = r.verdict.Credited()
	if r.verdict == judge.Partial && o.verdict == judge.Met {
		o.verdict, o.compare = judge.Partial, r.compare
	}
	o.confidence = min(o.confidence, r.confidence)
	h.tell(index)
	return true, nil
}

// findings is what is held in the end, with the doubts noted.
func (h *hearing) findings() []judge.Finding {
	out := make([]judge.Finding, len(h.opinions))
	for i := range h.opinions {
		var doubt string
		if out[i], doubt = h.finding(i, &h.opinions[i]); doubt != "" {
			h.doubt(doubt)
		}
	}
	return out
}

// finding is what an opinion of the criterion at index comes to, and why a
// person should look, if one should. A verdict that earns points and is not
// believed is neither trusted nor turned into zero.
func (h *hearing) finding(index int, o *opinion) (f judge.Finding, doubt string) {
	f = judge.Finding{
		CriterionID: h.task.Question.Criteria[index].ID,
		Verdict:     o.verdict,
		Credit:      o.verdict.Credit(),
		Evidence:    o.quotes,
		Comment:     o.compare,
		Confidence:  float64(o.confidence) / 100,
	}
	switch {
	case o.failed != "":
		doubt = o.failed
		f.Evidence, f.Comment, f.Confidence = nil, "", 0
	case !o.believed():
		doubt = EvidenceUnanchored
		if len(o.quotes) == 0 {
			doubt = EvidenceNotFound
		}
		f.Verdict, f.Credit, f.Evidence, f.Comment, f.Confidence = judge.CannotAssess, 0, nil, "", 0
	case o.verdict == judge.Met:
		f.Comment = "" // nothing is lacking
	case o.verdict == judge.Contradicted && len(o.quotes) == 0:
		f.Verdict = judge.Missed // that the answer says the opposite needs proof as well
	case o.verdict == judge.Missed, o.verdict == judge.CannotAssess:
		f.Evidence = nil
	}
	return f, doubt
}

func (h *hearing) doubt(reason string) {
	if !slices.Contains(h.doubts, reason) {
		h.doubts = append(h.doubts, reason)
	}
}

// reasons is the doubts in a fixed order.
func (h *hearing) reasons() []string {
	slices.Sort(h.doubts)
	return h.doubts
}
