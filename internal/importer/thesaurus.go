package importer

import (
	"strings"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// thesaurus says how answers speak of things that guidance calls by a name:
// nobody says "communication", people say whom they kept informed. It holds
// what is asked of any profession. By stem; phrases are separated by a bar.
var thesaurus = func() map[string][]string {
	m := make(map[string][]string)
	for entry := range strings.SplitSeq(strings.TrimSpace(said), "\n") {
		heads, phrases, _ := strings.Cut(entry, ":")
		var list []string
		for p := range strings.SplitSeq(phrases, "|") {
			list = append(list, strings.TrimSpace(p))
		}
		for stem := range content(heads) {
			m[stem] = append(m[stem], list...)
		}
	}
	return m
}()

const said = `
communication communicate: kept everybody informed with regular updates | told them early what would change | explained it in plain words
speed quickly velocity fast: delivered the first version within two weeks | cut the time it takes from weeks to days | faster than before
reliability reliable: it stays up when a part fails | backups that are tested and a way to recover | fewer outages and errors
security secure: only those who need it have access | secrets and personal data are protected | checked for known weaknesses
cost costs budget savings: it costs less per month than before | kept within the budget | cheaper to run and to maintain
collaboration teamwork cooperation: worked side by side with the other teams | sat down together with colleagues from other departments
testing tests: tried it out before it went live | automated tests run on every change | rehearsed it on a copy first
automation automate: a script does it instead of a person | it runs by itself on every change | no manual steps are left
documentation document: wrote it down where everybody finds it | a short guide that is kept up to date | decisions are recorded in writing
transparency openness: everybody can see the figures | shared openly what went well and what did not | said early when something went wrong
blameless blame: looked for the cause in the process and not in a person | nobody is blamed for a mistake
postmortem retrospective review: afterwards we wrote up the causes and what follows | a follow-up with an owner for each action
roles role responsibilities: assigned one person to lead and another to inform | each person had one job | I named an owner for each part
stakeholder stakeholders: updates to managers and customers every half hour | asked those affected what they need | agreed with them on what matters
adaptability flexibility adapt: changed the plan when the facts changed | dropped what no longer mattered and started over
leadership lead: took charge and gave everybody a clear task | decided and stood by the decision
mentoring coaching mentor coach: sat with a colleague every week until they could do it alone | gave feedback on their work | paired with newcomers
learning learn courses: read the professional journals and newsletters | went to a course and tried it out | follow what is published
feedback: asked the users what they think of it | a short survey after each round | changed it after what they told us
metrics measure measured indicators kpi: looked at the figures before and after | track how often and how long | compared it with the starting point
outcome outcomes result results impact: as a result it went down by half | in the end more people used it | that led to fewer complaints
risk risks: did it in small steps with a way back | a fallback in case it fails | thought about what could go wrong
rollback: go back to the version before with one step | undo the change at once
incremental gradual gradually iterative iterate: one part after the other instead of all at once | started with a small group and widened it | a pilot first
empathy: listened to what makes their day hard | saw it from their side | helped them with the change
priorities prioritize prioritise prioritization: did first what hurts most | put off what can wait | ranked it by urgency and effect
planning plan: first the one then the next with a date for each | laid out the weeks ahead
trade tradeoff: gained the one at the price of the other | the downside is what it costs | gave up some of it in return
decision decisions framework criteria: decided by a few questions asked of each option | compared the options on the same points
ownership accountability accountable: took responsibility from start to end | whoever builds it looks after it
conflict disagreement: heard both sides before deciding | talked to each of them alone first | found a way both could live with
customer client: asked what they really need | called back to see that it was solved
quality standards standard: checked the work against an agreed list | a second pair of eyes on each piece
tools tooling software: used it every day for the job | chose it because it fits what we have
delegation delegate: gave the task to somebody who could grow with it | left the decision to them and stayed in reach
discovery interviews research: asked people in short interviews where it hurts | watched how they work before building
scale scaling growth grow grows: it still works with ten times as many | split it up as more people join
simple simplicity minimal smallest: began with the least that works | left out what is not needed yet
drift: compared daily with what is written down | a report when the two differ
alerting alert alerts noise fatigue: somebody is woken only when users are hurt | removed warnings nobody acts on
motivation motivated excited enthusiasm: what draws me here is what you are building | I have followed your work for a while
lessons lesson mistake mistakes: next time I would do it differently | since then I always check first
deadline deadlines pressure stress: agreed on what to leave out to be on time | stayed calm and took one thing after the other
safety safe hygiene: followed the checklist every time | stopped the work until it was safe
inclusion diversity inclusive: made sure that quiet people were heard | hired from a wider circle
differentiation differentiator: whether it is what sets us apart from others | our own strength and not a commodity
lock-in: how hard it would be to leave the vendor | an exit plan
skills skill: whether the team knows how to run it | what our people can do today
promotion environments environment: the same version moves from test to production | stages before production
`

// sayings are how answers speak of what a claim is about.
func sayings(c claim) []string {
	var out []string
	if c.kind == rubric.Pitfall || c.opening {
		return nil
	}
	seen := make(map[string]bool)
	for _, w := range strings.Fields(c.about) {
		for stem := range content(w) {
			for _, p := range thesaurus[stem] {
				if !seen[p] {
					seen[p] = true
					out = append(out, p)
				}
			}
		}
	}
	return out
}
