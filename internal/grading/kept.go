package grading

import (
	"context"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
)

// Kept reports whether a grade is kept for the request, so that Grade would
// ask nobody. A cache that does not answer has none, and a Fresh request has
// no use for one.
func (s *Service) Kept(ctx context.Context, req Request) bool {
	chosen, err := s.judge(req.Judge)
	if err != nil || req.Fresh {
		return false
	}
	_, err = s.cfg.Cache.Get(ctx, Key{Tenant: req.Tenant, ID: s.id(req, chosen)})
	return err == nil
}

// ID is the id of the grade that a request asks for, whether it is kept or was
// ever made. The error is ErrNoModel.
func (s *Service) ID(req Request) (string, error) {
	chosen, err := s.judge(req.Judge)
	if err != nil {
		return "", err
	}
	return s.id(req, chosen), nil
}

// Estimate is what making the grade would cost, asking nobody: a guess from
// the length of the texts. warm says that another answer to the same question
// has been asked about just now. A judge that asks nobody costs nothing, and
// so does a blank answer. The error is ErrNoModel, or the judge's.
func (s *Service) Estimate(req Request, warm bool) (judge.Usage, error) {
	chosen, err := s.judge(req.Judge)
	if err != nil {
		return judge.Usage{}, err
	}
	estimator, ok := chosen.(judge.Estimator)
	if !ok {
		return judge.Usage{}, nil
	}
	reading := evidence.Read(req.Answer, s.shelf.of(req.Question).reference)
	if reading.Answer.Blank() {
		return judge.Usage{}, nil
	}
	return estimator.Estimate(judge.Task{Question: req.Question, Answer: req.Answer, Reading: reading}, warm)
}

// Versions are what the grades of a judge depend on besides question and
// answer: the judge's own name, what it is made of and how it is worded. The
// error is ErrNoModel.
func (s *Service) Versions(name string) (judgeName, fingerprint, promptDigest string, err error) {
	chosen, err := s.judge(name)
	if err != nil {
		return "", "", "", err
	}
	return chosen.Name(), chosen.Fingerprint(), chosen.PromptDigest(), nil
}
