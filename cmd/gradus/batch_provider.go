package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
