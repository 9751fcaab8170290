package pages

// kindWords say what a node did, and what follows beside the money.
var kindWords = map[string]struct{ what, then string }{
	"double-descriptor": {"It signed two different descriptors under one sequence number: whoever does that can show different clients different keys or addresses.",
		"It is out of the directory for good, and what is left of its stake is locked."},
	"double-seal": {"It sealed two different blocks at one height: whoever does that can show different people different histories.",
		"It is out of the directory for good, and what is left of its stake is locked."},
	"double-vote": {"It signed two different verdicts on one node in one epoch.", "It stays in the directory."},
	"lost-message": {"It signed that it keeps a message, was asked for it, and did not show it in time.",
		"It stays in the directory."},
	"key-disclosure": {"Somebody has shown that they know its secret key, by a signature with it. A key that was stolen counts like one that was sold.",
		"It is out of the directory for good. The reporter's part is paid when the commits that could be older have ended."},
	"unauthorised-software": {"Its own heartbeat declares a version that the network does not allow, after the time of grace.",
		"If it was active it is decommissioned, until it declares a version that is allowed."},
	"unavailable": {"A quorum of other nodes tested it and found it unfit.", "It is decommissioned, or deregistered where no credit was left. This costs credit and the place in the directory, no stake."},
}

// basisWords say what a slash rests on, and whom one has to believe for it.
var basisWords = map[string]string{
	"signature":     "Its own signatures. Nobody has to be believed: the proof can be checked offline, against the network file.",
	"unanswered":    "Its own receipt, and that no answer stands in the blocks of the window. The ledger's blocks have to be complete.",
	"self-declared": "Its own signed heartbeat. That says what the operator declares, not what really runs.",
	"vote":          "The votes of a quorum that the epoch's beacon drew. The quorum's majority has to be honest.",
}

// verdictWords say what a verdict means.
var verdictWords = map[string]string{
	"valid":            "The proof holds, and the ledger would punish it now.",
	"invalid":          "The proof does not hold: one of the questions was answered with no.",
	"malformed":        "This is not a proof: its bytes cannot be read as one.",
	"expired":          "The proof holds, but it is too old to be punished.",
	"already_punished": "The proof holds, and the offence is punished already: each is punished once.",
}

// stepWords are the questions of a judgement, by the names of its steps.
var stepWords = map[string]string{
	"canonical":  "Are the bytes one proof, of a known version and kind?",
	"kind":       "Is it of a kind that is judged?",
	"network":    "Is it of this network?",
	"statements": "Can both statements be read, and are they two?",
	"statement":  "Can the statement be read, and is it a heartbeat?",
	"headers":    "Can the headers be read, and are they of this network's history and sealed?",
	"pair":       "Do both halves speak of the same thing?",
	"fork":       "Are all parts of one history?",
	"content":    "Do the two halves contradict each other?",
	"epoch":      "Is the list of the right time?",
	"entry":      "Does the list show whose key it was?",
	"signatures": "Are the signatures that node's?",
	"signature":  "Is the signature that node's?",
	"seals":      "Are both seals the proposer's?",
	"sealer":     "Is the proposer a sealer of this network?",
	"ballots":    "Are these two votes of one validator, in one round, for different blocks?",
	"validator":  "Was it a validator then, by the state of a header?",
	"header":     "Is the list's header of this network's history, and sealed?",
	"parameters": "Were these parameters in force?",
	"version":    "Is the declared version not allowed?",
	"grace":      "Was the time of grace over?",
	"opening":    "Does it say of which key it is?",
	"key":        "Is the key in force?",
	"commit":     "Does the state hold the commit that it opens?",
	"beacon":     "Is the beacon of a later epoch than the commit?",
	"votes":      "Can the votes be read, and do all of them say unfit?",
	"draw":       "Are the voters those that the beacon drew?",
	"seats":      "Has each voter a seat with a vote?",
	"number":     "Are there as many votes as are needed?",
	"punishable": "Would the ledger punish it now?",
}
