package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/importer"
	"github.com/gradus-ai/gradus/internal/importer/propose"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/judge/model"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/llm/openai"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// ErrChooseModel is returned when an endpoint has several models, or none, and
// the operator named none of them.
var ErrChooseModel = errors.New("choose a model with OPENAI_MODEL")

// Proposer drafts criteria with the configured model. The error is
// grading.ErrNoModel where none is, or what is wrong with the configuration.
func (a *App) Proposer(ctx context.Context) (importer.Proposer, error) {
	if !a.cfg.ModelConfigured() {
		return nil, grading.ErrNoModel
	}
	completer, err := a.completer(ctx)
	if err != nil {
		return nil, err
	}
	return propose.New(completer, a.prompts, a.secret(ctx), a.cfg.GradeTimeout), nil
}

// modelJudge makes the judge that asks an LLM.
func (a *App) modelJudge(ctx context.Context, second judge.Judge) (*model.Judge, error) {
	completer, err := a.completer(ctx)
	if err != nil {
		return nil, err
	}
	if a.options.Prepaid != nil {
		completer = a.options.Prepaid.Before(completer)
	}
	return model.New(model.Config{
		Completer: completer,
		Prompts:   a.prompts,
		Secret:    a.secret(ctx),
		Second:    second,
		Thorough:  a.cfg.Thorough,
		Endpoint:  a.cfg.OpenAIBaseURL,
		Price:     price(a.cfg.Price),
	})
}

// Openings are the requests that grading an answer with the model begins with;
// none for an answer of which no model is asked. The error is
// grading.ErrNoModel where none is configured.
func (a *App) Openings(q *rubric.Question, answer string) ([]llm.Request, error) {
	if a.model == nil {
		return nil, grading.ErrNoModel
	}
	return a.model.Openings(judge.Task{Question: q, Answer: answer})
}

// Endpoint asks the first of the configured models, with nothing in between.
// The error is grading.ErrNoModel where none is configured.
func (a *App) Endpoint() (*openai.Client, error) {
	if a.model == nil {
		return nil, grading.ErrNoModel
	}
	endpoint, err := a.endpoint()
	if err != nil {
		return nil, err
	}
	return endpoint.For(a.models[0]), nil
}

func (a *App) endpoint() (*openai.Client, error) {
	endpoint, err := openai.New(openai.Config{
		BaseURL:        a.cfg.OpenAIBaseURL,
		APIKey:         a.cfg.OpenAIAPIKey.Reveal(),
		MaxConcurrency: a.cfg.Concurrency,
		AttemptTimeout: attemptTimeout(a.cfg.GradeTimeout, len(a.cfg.OpenAIModels)),
		Logger:         a.log,
	})
	if err != nil {
		return nil, &config.InvalidError{Faults: []string{err.Error()}}
	}
	return endpoint, nil
}

// completer asks the configured models, with everything between us and them.
func (a *App) completer(ctx context.Context) (llm.Completer, error) {
	endpoint, err := a.endpoint()
	if err != nil {
		return nil, err
	}
	if a.models == nil {
		if a.models, err = chooseModels(ctx, a.cfg, endpoint); err != nil {
			return nil, err
		}
	}
	clients := make([]llm.Completer, len(a.models))
	for i, name := range a.models {
		clients[i] = a.traced(endpoint.For(name))
	}
	return llm.Stack(clients, llm.StackConfig{MaxConcurrency: a.cfg.Concurrency, Observer: a.metrics.model(price(a.cfg.Price))}), nil
}

// attemptTimeout is how long a model may take over one reply, given the longest
// that a grade may take. It ends before the grade does, so that a model which
// hangs is known for one, and early enough for a fallback to have its turn.
func attemptTimeout(grade time.Duration, models int) time.Duration {
	if models > 1 {
		return grade * 2 / 3
	}
	return grade * 5 / 6
}

// price makes a price list of the one price an operator can set; nil when none is.
func price(p config.Price) model.Price {
	if !p.Known {
		return nil
	}
	const million = 1e6
	return func(_ string, u llm.Usage) (float64, bool) {
		fresh := u.PromptTokens - u.CachedTokens
		return (float64(fresh)*p.Input + float64(u.CachedTokens)*p.Cached + float64(u.CompletionTokens)*p.Output) / million, true
	}
}

// chooseModels is the operator's choice; for OpenAI itself a default; and for
// another endpoint its only model.
func chooseModels(ctx context.Context, cfg *config.Config, endpoint *openai.Client) ([]string, error) {
	switch {
	case len(cfg.OpenAIModels) > 0:
		return cfg.OpenAIModels, nil
	case cfg.OpenAIBaseURL == "":
		return []string{config.DefaultModel}, nil
	}
	names, err := endpoint.ListModels(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the endpoint does not list its models: %w", ErrChooseModel, err)
	case len(names) == 1:
		return names, nil
	case len(names) == 0:
		return nil, fmt.Errorf("%w: the endpoint lists none", ErrChooseModel)
	default:
		return nil, fmt.Errorf("%w: the endpoint has %s", ErrChooseModel, strings.Join(names, ", "))
	}
}
