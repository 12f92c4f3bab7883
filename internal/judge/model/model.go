// Package model is the judge that asks an LLM: it renders a prompt, reads the
// reply strictly, checks every quote against the answer and looks a second
// time where there is doubt.
//
// The model chooses levels and quotes; what they are worth is decided here and
// in package grading. A verdict that earns points stands only on words of the
// answer that are the candidate's own and have to do with the criterion, so
// that a model which was talked into generosity has little to give away. The
// package knows no tenant and no HTTP, and logs nothing.
package model

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/prompt"
)

// Name is the name of this judge.
const Name = "model"

// protocolVersion counts the ways in which the same replies have been turned
// into findings. Raise it with every change to reading, doubts or second looks
// that can change a verdict: kept grades become misses.
const protocolVersion = 2

// Defaults of Config.
const (
	DefaultDoubtBelow   = 0.6
	DefaultContestAbove = 0.8
	DefaultParallel     = 4
)

// minSecret is the least length of a secret, in bytes.
const minSecret = 16

// Price is what a call cost in US dollars; false where no price is known.
type Price func(model string, usage llm.Usage) (usd float64, known bool)

// Config is what a Judge is made of.
type Config struct {
	// Completer asks the model. Required.
	Completer llm.Completer
	// Prompts words the requests. Required.
	Prompts *prompt.Prompts
	// Secret keys the marker around answers, so that an author cannot guess it.
	// Required: 16 bytes or more. The same secret gives the same prompt for the
	// same answer; it does not enter Fingerprint.
	Secret []byte

	// Second gives a second opinion on every answer; nil for none. It is asked
	// each time, so it should cost nothing, and is taken for one that overlooks
	// more than it invents.
	Second judge.Judge
	// Thorough asks one call per criterion from the start: more accurate, at
	// some three times the cost.
	Thorough bool
	// DoubtBelow is the confidence, 0..1, under which a verdict gets a second
	// look. 0 means DefaultDoubtBelow; a negative value means never.
	DoubtBelow float64
	// ContestAbove is how much more credit, 0..1, the second opinion has to
	// give for a verdict to get a second look. 0 means DefaultContestAbove; 1
	// or more means never.
	ContestAbove float64
	// Parallel bounds the calls in flight for one answer when Thorough. 0 means
	// DefaultParallel.
	Parallel int
	// Endpoint says where the models are (a base URL without credentials). It
	// only enters Fingerprint: the same name can be another model elsewhere.
	Endpoint string
	// Price tells what calls cost; nil where that is not known.
	Price Price
}

// Judge asks a model. It is safe for concurrent use.
type Judge struct {
	cfg         Config
	fingerprint string
	sheets      sheets
}

// New makes a Judge.
func New(cfg Config) (*Judge, error) {
	switch {
	case cfg.Completer == nil || cfg.Prompts == nil:
		return nil, errors.New("the model judge needs a completer and prompts")
	case len(cfg.Secret) < minSecret:
		return nil, fmt.Errorf("the model judge needs a secret of %d bytes or more", minSecret)
	}
	if cfg.DoubtBelow == 0 {
		cfg.DoubtBelow = DefaultDoubtBelow
	}
	if cfg.ContestAbove == 0 {
		cfg.ContestAbove = DefaultContestAbove
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = DefaultParallel
	}
	j := &Judge{cfg: cfg}
	second := "none"
	if cfg.Second != nil {
		second = cfg.Second.Name() + " " + cfg.Second.Fingerprint()
	}
	j.fingerprint = fmt.Sprintf("model/%d endpoint=%q models=%q thorough=%t doubt=%g contest=%g second=%q",
		protocolVersion, cfg.Endpoint, cfg.Completer.Models(), cfg.Thorough, cfg.DoubtBelow, cfg.ContestAbove, second)
	return j, nil
}

// Name is "model".
func (j *Judge) Name() string { return Name }

// Fingerprint covers the models, the settings, the protocol and the second
// opinion. The wording of the prompts is in PromptDigest.
func (j *Judge) Fingerprint() string { return j.fingerprint }

// PromptDigest is the digest of the prompts in use.
func (j *Judge) PromptDigest() string { return j.cfg.Prompts.Digest() }

// Judge asks for verdicts on every criterion and looks again, at most twice,
// where they are in doubt.
//
// An error means that the model could not be asked (see package llm). When
// only a second look could not be had, what stands is returned with the doubt
// SecondLookFailed, unless ctx is done. A reply that is refused, cut short or
// unreadable makes findings that are CannotAssess, with the reason in Doubts.
// An answer without content words is judged without a call.
func (j *Judge) Judge(ctx context.Context, task judge.Task) (*judge.Judgement, error) {
	h, err := j.open(task)
	if err != nil {
		return nil, err
	}
	if h.task.Reading.Answer.Blank() {
		return &judge.Judgement{Findings: judge.NothingSaid(task.Question)}, nil
	}
	openings, err := j.openings(h.task, h.mark)
	if err != nil {
		return nil, err
	}
	if j.cfg.Thorough {
		err = h.readEach(ctx, openings)
	} else {
		err = h.readAll(ctx, openings[0])
	}
	if err != nil {
		return nil, err
	}
	h.second = h.opine(ctx)
	if err := h.lookAgain(ctx); err != nil {
		return nil, err
	}
	judgement := &judge.Judgement{Findings: h.findings(), Second: h.second}
	judgement.Doubts = h.reasons()
	for i := range h.opinions {
		judgement.Quotes += len(h.opinions[i].reading.quotes)
	}
	h.ledger.close(judgement, first(j.cfg.Completer.Models()))
	return judgement, nil
}

func (j *Judge) open(task judge.Task) (*hearing, error) {
	if len(task.Question.Criteria) == 0 {
		return nil, errors.New("the question has no criteria")
	}
	sheet := j.sheets.of(task.Question)
	if task.Reading == nil {
		task.Reading = evidence.Read(task.Answer, sheet.reference)
	}
	return &hearing{
		judge:    j,
		task:     task,
		sheet:    sheet,
		mark:     j.mark(task.Answer),
		ledger:   &ledger{price: j.cfg.Price},
		opinions: make([]opinion, len(task.Question.Criteria)),
	}, nil
}

// mark names the tags around an answer: 50 bits of HMAC-SHA256, which an
// author gets a single guess at, since each other answer has another mark.
func (j *Judge) mark(answer string) string {
	mac := hmac.New(sha256.New, j.cfg.Secret)
	io.WriteString(mac, "gradus answer fence\x00")
	io.WriteString(mac, answer)
	return strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil))[:10])
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// bounded runs f for every index from 1 to n-1, at most limit at a time, after
// it has run for 0 alone: the first call warms the prefix that the rest share.
// It returns the first error and cancels the context of the others.
func bounded(ctx context.Context, n, limit int, f func(context.Context, int) error) error {
	if err := f(ctx, 0); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, limit)
	var wg sync.WaitGroup
	for i := 1; i < n; i++ {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if ctx.Err() != nil {
				return
			}
			if err := f(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
