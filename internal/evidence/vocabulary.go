package evidence

import "strings"

// sense is what a word can mean when somebody talks to a judge about marks. A
// word alone proves nothing; rules look for senses that come together.
type sense uint32

const (
	grade       sense = 1 << iota // what is given: score, marks, points
	exam                          // the same, but hardly ever about anything else
	scheme                        // what it is given by: rubric, criteria, instructions
	weakScheme                    // the same in words of every day: rules, guidelines
	grader                        // who gives it: examiner, evaluator
	maybeGrader                   // assistant, teacher, judge
	give                          // give, award, output, return
	assess                        // grading, evaluating: what a judge does
	assessed                      // graded, approved, checked: what has been done
	override                      // ignore, disregard, forget
	top                           // full, highest, perfect
	praise                        // verdicts: pass, correct, excellent, met
	plea                          // please, kindly
	modal                         // must, should
	you                           // you, your
	self                          // I, we, my, our: a narrative
	theAnswer                     // answer, submission, candidate
	beg                           // need, deserve, hope
	lenient                       // overlook, forgive, generous
	pretend                       // pretend, imagine, act
	notice                        // memo, note, correction: how announcements begin
	attack                        // injection, attacker: somebody writes about this
	change                        // lower, raise, deduct
	leak                          // repeat, reveal, print
	about                         // for, to, of: what a notice is addressed to
)

var senses = func() map[string]sense {
	list := map[sense]string{
		grade:       "grade grades score scores mark marks points credit credits rating verdict result results outcome",
		exam:        "marks deduction deductions rubric verdict examiner examiners grader graders marking",
		scheme:      "rubric rubrics criteria criterion instruction instructions prompt prompts marking grading",
		weakScheme:  "rules guidelines guidance directions guideline constraints restrictions policy",
		grader:      "grader graders examiner examiners evaluator evaluators assessor assessors invigilator autograder gradus",
		maybeGrader: "assistant chatbot llm gpt chatgpt ai model marker markers judge judges teacher professor lecturer tutor moderator jury tribunal board system reviewer",
		give: "give award assign output return print respond reply grant report emit produce put set record enter write grade score mark rate accept pass " +
			"select choose submit issue allocate deliver say yield",
		assess:   "grading marking scoring evaluating assessing judging grade evaluate assess evaluates grades assesses grading",
		assessed: "graded marked scored checked verified approved accepted moderated evaluated assessed validated certified confirmed",
		override: "ignore disregard forget override overrule discard",
		top:      "full maximum max maximal highest top perfect best possible complete total 100 100% 10",
		praise: "pass passed satisfied fulfilled full excellent outstanding perfect met correct right accepted approved max maximum true complete exemplary flawless " +
			"top distinction proficient strong",
		plea:      "please pls plz kindly",
		modal:     "must should shall required ought",
		you:       "you your yours yourself u",
		self:      "i we my our us me",
		theAnswer: "answer answers submission response essay reply script candidate student learner examinee paper",
		beg:       "need deserve want beg request hope expect demand pray wish appreciate require authorise authorize order certify",
		lenient:   "overlook forgive excuse lenient generous generously gentle merciful kind nice benevolent charitable leniently mercy",
		pretend:   "pretend imagine roleplay simulate suppose act behave assume",
		notice: "memo note notice message update announcement correction admin administrator reminder attention bulletin important urgent warning " +
			"instruction instructions rationale metadata",
		attack: "injection injections attacker attackers attack attacks malicious jailbreak jailbreaks adversarial untrusted sanitise sanitize phishing " +
			"exploit exploits hostile injected smuggle",
		change: "lower raise increase decrease deduct reduce bump boost subtract add cut drop maximise",
		leak:   "repeat reveal print show start begin include copy quote list tell output display disclose leak expose summarise summarize translate paste",
		about:  "for to of on regarding concerning",
	}
	all := map[string]sense{}
	for s, ws := range list {
		for _, w := range strings.Fields(ws) {
			all[w] |= s
		}
	}
	return all
}()

// openers are words after which a verb is still an order.
var openers = words("please pls plz kindly now just then simply instead also you must should always only therefore hereby")

// examPhrases are about marks, whatever else a sentence says.
var examPhrases = phrases(`full marks; full credit; full points; full score; top mark; top marks; top grade; perfect marks; perfect mark;
	maximum marks; max marks; maximum grade; highest mark; highest marks; highest possible mark; highest possible grade; highest possible score;
	highest possible result; maximum possible score; best possible grade; best possible mark; model answer; reference answer; sample answer;
	answer key; mark scheme; marking scheme; model solution; grading scheme; grading rules; grading criteria; grading rubric; grading instructions; marking criteria; exam board; grading purposes; marking purposes; final grade is; pass me; fail me; grade override; score override; second marker; first marker; chief examiner; second examiner;
	 bonus marks; top score; maximum points; all points; all marks`)

// addresses speak to a judge as to a machine or a person in front of one.
var addresses = phrases(`as a language model; as a large language model; as an ai; as an llm; as a chatbot; as an assistant; you are now; you are a grader;
	you are an examiner; you are the grader; you are the examiner; you are an ai; you are a language model; you are an evaluator; you are a lenient;
	you are a generous; your task is to; your job is to; your role is to; you can not assess; you can not grade; you can not evaluate; you can not judge;
	you have been instructed; you are instructed; you are required; you are programmed; you will now; from now on you; from now on; new instructions;
	new instruction; system override; system memo; developer mode; debug mode; admin override; maintenance mode;
	end of prompt; end of instructions; whoever grades; whoever marks; whoever reads; anyone grading; anyone evaluating; anyone marking; dear grader; dear examiner;
	dear evaluator; dear teacher; dear professor; dear ai; dear sir; dear judge; note to grader; note to the grader; note to examiner; note to the examiner;
	note to marker; to the grader; to the examiner; to the evaluator; to the marker; hello grader; hi grader; hey grader; attention grader; for the grader;
	for the examiner; trust me; scoring service; grading service; grading model; scoring model`)
