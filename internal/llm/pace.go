package llm

import "time"

// pacer spaces calls out once an endpoint has shown that it counts them by the
// second. A number of slots cannot keep such a limit: slots that come free
// together are used together, and all but the first are refused.
//
// Once more than a few calls are refused it takes the rate at which the others
// are answered, cuts it at most once a second while refusals go on, lets it
// grow, slowly at first, and forgets it after a quiet minute. It stays near the
// best second seen: refusals that no pace prevents must not slow everything to
// a halt.
type pacer struct {
	perSecond float64   // 0: no pace is set
	set       time.Time // when it was
	best      float64   // the most answers in a second, since there is a pace
	free      time.Time // when the next call may go

	// Counts by the second: of this one and the one before.
	now, before heard
	second      time.Time     // when this one began
	span        time.Duration // of the one before
}

// heard is what came of calls.
type heard struct{ answers, refusals int }

const (
	paceWindow  = time.Second
	paceAnswers = 5           // fewer say nothing of a rate
	paceFrom    = 0.1         // share of refusals that sets a pace
	paceWhile   = 0.03        // share of refusals that cuts it
	paceKept    = time.Minute // without a rate limit
	paceCut     = 0.95        // of what was too much
	paceFloor   = 0.7         // of the best
	paceLate    = 10 * time.Millisecond
)

// answered counts an answer.
func (p *pacer) answered(now time.Time) {
	p.turn(now)
	p.now.answers++
}

func (p *pacer) turn(now time.Time) {
	elapsed := now.Sub(p.second)
	switch {
	case elapsed < paceWindow:
	case elapsed < 2*paceWindow:
		p.before, p.span = p.now, elapsed
		p.now, p.second = heard{}, now
	default:
		p.before, p.span = heard{}, 0
		p.now, p.second = heard{}, now
	}
}

// limited counts a refusal, and sets the pace to what was borne of late.
func (p *pacer) limited(now time.Time) {
	p.turn(now)
	p.now.refusals++
	current := p.rate(now)
	answers, refusals := float64(p.now.answers+p.before.answers), float64(p.now.refusals+p.before.refusals)
	limit := paceFrom
	if current > 0 {
		limit = paceWhile
	}
	if answers < paceAnswers || refusals < limit*(answers+refusals) || current > 0 && now.Sub(p.set) < paceWindow {
		return
	}
	span := now.Sub(p.second) + p.span
	borne := answers / max(span, paceWindow/10).Seconds()
	if span >= paceWindow {
		p.best = max(p.best, borne)
	}
	if current > 0 {
		borne = max(paceFloor*p.best, min(paceCut*current, max(borne, current/2)))
	}
	p.perSecond, p.set = borne, now
}

// rate is the pace in calls a second; 0 when there is none. It grows by one
// per cent a second for five seconds, and then by a tenth a second.
func (p *pacer) rate(now time.Time) float64 {
	if p.perSecond == 0 {
		return 0
	}
	quiet := now.Sub(p.set)
	if quiet > paceKept {
		p.perSecond, p.best = 0, 0
		return 0
	}
	rate := p.perSecond * (1 + 0.01*quiet.Seconds())
	if beyond := quiet - 5*time.Second; beyond > 0 {
		rate *= 1 + 0.1*beyond.Seconds()
	}
	return rate
}

// took notes that a call goes now. One that goes late by a timer's whim does
// not delay the others.
func (p *pacer) took(now time.Time) {
	rate := p.rate(now)
	if rate == 0 {
		p.free = time.Time{}
		return
	}
	if earliest := now.Add(-paceLate); p.free.Before(earliest) {
		p.free = earliest
	}
	p.free = p.free.Add(time.Duration(float64(time.Second) / rate))
}
