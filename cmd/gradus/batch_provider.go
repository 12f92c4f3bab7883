package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/llm/openai"
	"github.com/gradus-ai/gradus/internal/rows"
)

// provider has the model's provider answer what each answer is asked about
// first, in batches that take up to a day and cost half, and then grades here
// with those replies: the way of an answer is the same, and only what depends on
// a reply (second looks, repairs) is asked for live. A note beside the results
// says what was sent, so that the same command collects it later.
type provider struct {
	*here

	endpoint *openai.Client
	replies  *llm.Prepaid
	note     *providerNote
	tty      *terminal
}

// What goes into one batch at most: well within what the provider takes, for
// JSON may need two bytes for one of the text.
const (
	sendRequests = openai.MaxBatchRequests / 2
	sendBytes    = openai.MaxBatchBytes / 3
)

// How often a batch is looked at.
const (
	pollFirst = 500 * time.Millisecond
	pollLast  = time.Minute
)

func newProvider(cmd *cobra.Command, tty *terminal, f *batchFlags, options batch.Options) (*provider, error) {
	switch {
	case f.server != "":
		return nil, usage(errors.New("--provider-batch grades here: leave out --server"))
	case f.out == stdio, f.out == "" && !f.estimate:
		return nil, usage(errors.New("--provider-batch needs a file for the results: what was sent is noted beside it"))
	}
	note, err := openProviderNote(f.out)
	if err != nil {
		return nil, err
	}
	cfg, err := settings(cmd)
	if err != nil {
		return nil, err
	}
	p := &provider{replies: llm.NewPrepaid(), note: note, tty: tty}
	a, err := openWith(cmd, tty, cfg, func(o *app.Options) { o.Prepaid, o.Secret = p.replies, []byte(note.Secret) })
	if err != nil {
		return nil, err
	}
	if p.endpoint, err = a.Endpoint(); err != nil {
		a.Close()
		return nil, fmt.Errorf("--provider-batch: %w", err)
	}
	p.here = newHere(a, options)
	return p, nil
}

// estimate is what the provider's batches would cost; what follows live is not
// foreseen.
func (p *provider) estimate(ctx context.Context, todo []answered) (*api.BatchEstimate, error) {
	e, err := p.here.estimate(ctx, todo)
	if err == nil && e.Usage.CostUSD != nil {
		*e.Usage.CostUSD *= 1 - openai.BatchDiscount
	}
	return e, err
}

// done forgets what was sent once all results are in the file, there as here: the
// provider would keep the files, which have the answers in them.
func (p *provider) done(ctx context.Context) {
	for _, b := range p.note.Batches {
		if b.ID == "" {
			continue
		}
		if err := p.endpoint.DeleteBatchFiles(ctx, b.ID); err != nil {
			fmt.Fprintf(p.tty.err, "the files of batch %s stay at the provider: %v\n", b.ID, err)
		}
	}
	p.note.forget()
}

func (p *provider) grade(ctx context.Context, todo []answered, each func(*rows.Result) error, talk *talk) (*standing, error) {
	if err := p.recall(ctx, todo); err != nil {
		return nil, p.leave(ctx, err)
	}
	if err := p.send(ctx, todo, talk); err != nil {
		return nil, p.leave(ctx, err)
	}
	cancelled, err := p.collect(ctx, talk)
	if err != nil {
		return nil, p.leave(ctx, err)
	}
	ready, late, err := p.sort(todo)
	if err != nil {
		return nil, err
	}
	// What is paid for is graded whatever the limit; the limit is for the rest.
	limit := p.options.MaxCost
	p.options.MaxCost = nil
	came, err := p.gradeAfter(ctx, &standing{total: len(todo), pending: len(todo)}, ready, each, talk)
	if err != nil || len(late) == 0 {
		return came, err
	}
	if cancelled {
		p.note.forget()
		return came, fmt.Errorf("a batch was cancelled at the provider, and %s got no reply; the same command sends them again", count(len(late), "answer"))
	}
	if limit != nil {
		left := *limit
		if came.spent.CostUSD != nil {
			left -= *came.spent.CostUSD
		}
		if left <= 0 {
			p.note.forget()
			return came, fmt.Errorf("the cost limit is reached, and %s got no reply in a batch; the same command goes on with them", count(len(late), "answer"))
		}
		p.options.MaxCost = &left
	}
	talk.say("%s got no reply in a batch and are asked about live", count(len(late), "answer"))
	return p.gradeAfter(ctx, came, late, each, talk)
}

// gradeAfter grades some of the answers, after others that have come.
func (p *provider) gradeAfter(ctx context.Context, before *standing, todo []answered, each func(*rows.Result) error, talk *talk) (*standing, error) {
	if len(todo) == 0 {
		return before, nil
	}
	talk.before = before
	came, err := p.here.grade(ctx, todo, each, talk)
	if came == nil {
		return before, err
	}
	return before.plus(came), err
}

// recall checks what the note says was sent: against the provider, where it is
// not known whether a batch was made, and against what would be sent now.
func (p *provider) recall(ctx context.Context, todo []answered) error {
	var known []*sentBatch
	for _, b := range p.note.Batches {
		if b.ID == "" {
			id, found, err := p.endpoint.FindBatch(ctx, b.Tag)
			switch {
			case err != nil:
				return err
			case !found:
				continue
			}
			b.ID = id
		}
		known = append(known, b)
	}
	p.note.Batches = known
	for i := range todo {
		was, sent := p.note.sent(todo[i].item.ID)
		if !sent {
			continue
		}
		is, err := p.gradeID(&todo[i])
		if err != nil {
			return err
		}
		if is != was {
			return usage(fmt.Errorf("%s was sent to the provider as another answer, or with another rubric, prompt or model: put that back", todo[i].item.ID))
		}
	}
	return nil
}

func (p *provider) gradeID(a *answered) (string, error) {
	return p.app.Service().ID(p.request(a))
}

func (p *provider) request(a *answered) grading.Request {
	return grading.Request{Tenant: app.LocalTenant, Question: a.question, Answer: a.item.Answer, Judge: grading.Auto}
}

// send makes batches of the answers that were not sent yet, one question after
// the other so that the provider's prefix cache pays.
func (p *provider) send(ctx context.Context, todo []answered, talk *talk) error {
	var unsent []*answered
	for i := range todo {
		if _, sent := p.note.sent(todo[i].item.ID); !sent {
			unsent = append(unsent, &todo[i])
		}
	}
	if p.options.MaxCost != nil && len(unsent) > 0 {
		if err := p.affordable(ctx, unsent); err != nil {
			return err
		}
	}
	slices.SortStableFunc(unsent, func(a, b *answered) int { return strings.Compare(a.question.Digest(), b.question.Digest()) })
	next := newSentBatch()
	var requests []llm.Request
	size, total := 0, 0
	flush := func() error {
		if len(requests) == 0 {
			return nil
		}
		if err := p.submit(ctx, next, requests); err != nil {
			return err
		}
		total += len(next.Answers)
		next, requests, size = newSentBatch(), nil, 0
		return nil
	}
	for _, a := range unsent {
		openings, err := p.app.Openings(a.question, a.item.Answer)
		if err != nil {
			return err
		}
		id, err := p.gradeID(a)
		if err != nil {
			return err
		}
		if len(openings) == 0 || !p.options.Fresh && p.kept(ctx, id) {
			continue
		}
		more := 0
		for _, r := range openings {
			for _, m := range r.Messages {
				more += len(m.Text)
			}
			more += len(r.Schema)
		}
		if len(requests)+len(openings) > sendRequests || size+more > sendBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		next.Answers[a.item.ID] = id
		requests, size = append(requests, openings...), size+more
	}
	if err := flush(); err != nil {
		return err
	}
	if total > 0 {
		talk.say("sent %s to the provider, which takes up to a day; Ctrl-C leaves them there, and the same command collects them", count(total, "answer"))
	}
	return nil
}

func (p *provider) kept(ctx context.Context, id string) bool {
	_, err := p.app.Service().Find(ctx, grading.Key{Tenant: app.LocalTenant, ID: id})
	return err == nil
}

// affordable refuses to send what is estimated to cost more than it may.
func (p *provider) affordable(ctx context.Context, unsent []*answered) error {
	some := make([]answered, len(unsent))
	for i, a := range unsent {
		some[i] = *a
	}
	e, err := p.estimate(ctx, some)
	if err != nil {
		return err
	}
	if cost := e.Usage.CostUSD; cost != nil && *cost > *p.options.MaxCost {
		return usage(fmt.Errorf("about $%.2f would be more than --max-cost; nothing was sent", *cost))
	}
	return nil
}

// mostCalls is how often making a batch, or fetching its replies, is tried.
const mostCalls = 6

// submit makes one batch. It is noted before it is made: a batch whose making
// was interrupted is found again by its tag, and no answer is paid for twice.
func (p *provider) submit(ctx context.Context, next *sentBatch, requests []llm.Request) error {
	p.note.Batches = append(p.note.Batches, next)
	if err := p.note.write(); err != nil {
		return err
	}
	wait := backoff{}
	for try := 1; ; try++ {
		id, err := p.endpoint.SubmitBatch(ctx, next.Tag, requests)
		if err != nil && llm.Retryable(err) && try < mostCalls {
			if err := wait.pause(ctx); err != nil {
				return err
			}
			var found bool
			if id, found, err = p.endpoint.FindBatch(ctx, next.Tag); err != nil || !found {
				continue
			}
		}
		if err != nil {
			if !llm.Retryable(err) && ctx.Err() == nil {
				p.note.drop(next) // it was refused, so there is none
			}
			return fmt.Errorf("the provider took no batch: %w", err)
		}
		next.ID = id
		return p.note.write()
	}
}

// collect waits until all batches are over and takes their replies. cancelled
// says that somebody ended a batch at the provider.
func (p *provider) collect(ctx context.Context, talk *talk) (cancelled bool, err error) {
	states, err := p.wait(ctx, talk)
	if err != nil {
		return false, err
	}
	answered := 0
	without := make(map[string]int)
	for i, state := range states {
		switch state.Status {
		case "failed":
			p.note.drop(p.note.Batches[i])
			return false, fmt.Errorf("the provider refused a batch of requests (%s); the same command sends it again", codesOf(state.Codes))
		case "cancelled":
			cancelled = true
		}
		lost, err := p.replied(ctx, state, &answered)
		if err != nil {
			return false, err
		}
		for code, n := range lost {
			without[code] += n
		}
	}
	var codes []string
	expired := false
	for code, n := range without {
		codes = append(codes, fmt.Sprintf("%d × %s", n, named(code)))
		expired = expired || code == "batch_expired"
	}
	slices.Sort(codes)
	if len(codes) > 0 {
		talk.say("no reply to some requests: %s", strings.Join(codes, ", "))
	}
	if len(codes) > 0 && answered == 0 && !expired && !cancelled {
		p.note.forget()
		return false, errors.New("the provider answered none of the requests")
	}
	return cancelled, nil
}

// replied takes the replies of one batch.
func (p *provider) replied(ctx context.Context, state *openai.BatchState, answered *int) (map[string]int, error) {
	wait := backoff{}
	for try := 1; ; try++ {
		lost, err := p.endpoint.BatchReplies(ctx, state, func(digest string, reply *llm.Reply) {
			if !p.replies.Has(digest) {
				*answered++
			}
			p.replies.Put(digest, reply)
		})
		if err == nil || !llm.Retryable(err) || try == mostCalls {
			return lost, err
		}
		if err := wait.pause(ctx); err != nil {
			return nil, err
		}
	}
}

// wait returns once all batches are over. A provider that cannot be reached for
// a while is waited for.
func (p *provider) wait(ctx context.Context, talk *talk) ([]*openai.BatchState, error) {
	wait := backoff{}
	for {
		states := make([]*openai.BatchState, len(p.note.Batches))
		total, answered, over := 0, 0, 0
		for i, b := range p.note.Batches {
			state, err := p.endpoint.Batch(ctx, b.ID)
			switch {
			case err != nil && !llm.Retryable(err):
				return nil, err
			case err != nil:
				continue
			case state.Over():
				over++
			}
			states[i] = state
			total, answered = total+state.Total, answered+state.Answered
		}
		if over == len(states) {
			return states, nil
		}
		talk.waiting(answered, total)
		if err := wait.pause(ctx); err != nil {
			return nil, err
		}
	}
}

// sort parts the answers by whether all that is asked of them first is answered.
func (p *provider) sort(todo []answered) (ready, late []answered, err error) {
	for i := range todo {
		openings, err := p.app.Openings(todo[i].question, todo[i].item.Answer)
		if err != nil {
			return nil, nil, err
		}
		_, sent := p.note.sent(todo[i].item.ID)
		missing := slices.ContainsFunc(openings, func(r llm.Request) bool { return !p.replies.Has(r.Digest()) })
		if sent && missing {
			late = append(late, todo[i])
		} else {
			ready = append(ready, todo[i])
		}
	}
	return ready, late, nil
}

// leave says what goes on when the command does not wait for it.
func (p *provider) leave(ctx context.Context, err error) error {
	switch {
	case len(p.note.Batches) == 0:
		return err
	case ctx.Err() != nil:
		fmt.Fprintf(p.tty.err, "the provider goes on with what was sent; %s says what that is\n", p.note.name)
		return err
	}
	return fmt.Errorf("%w; the same command tries again to collect what was sent, and without %s sends it anew", err, p.note.name)
}

// named is a provider's code where it is safe to print.
func named(code string) string {
	if code = llm.Token(code); code == "" {
		return "no code"
	}
	return code
}

func codesOf(codes []string) string {
	var out []string
	for _, code := range codes {
		if code = named(code); !slices.Contains(out, code) {
			out = append(out, code)
		}
	}
	if len(out) == 0 {
		return "no code"
	}
	return strings.Join(out, ", ")
}

// backoff waits longer each time.
type backoff struct{ last time.Duration }

func (b *backoff) pause(ctx context.Context) error {
	b.last = min(max(pollFirst, b.last*3/2), pollLast)
	timer := time.NewTimer(b.last)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// newSentBatch has a tag of its own.
func newSentBatch() *sentBatch {
	return &sentBatch{Tag: strings.ToLower(rand.Text()), Answers: make(map[string]string)}
}
