package pages

// kindMeanings say in a line what a kind of transaction does.
var kindMeanings = map[string]string{
	"transfer":          "moves an amount from one account to another",
	"register":          "makes a node known, with the operator's part of its stake",
	"contribute":        "adds stake to a node that lacks some",
	"request-unlock":    "begins to take a node and its stake out",
	"withdraw":          "pays the rewards out, and stake that has come free",
	"submit-proof":      "shows that a node has cheated, so that it is punished",
	"challenge":         "asks a node in public for what one of its storage receipts promises",
	"change-params":     "a council member's approval of other parameters",
	"commit-disclosure": "commits to show that a node's key is known, without saying whose",
	"publish":           "a node's own signed statement; it costs no fee",
	"dev":               "what was done by hand on this dev network",
}

// refusalAdvices say what whoever sent a refused transaction can do. Codes that
// are not there get a general one.
var refusalAdvices = map[string]string{
	"nonce_used":              "This nonce was used before: most often the transaction went through already. Ask for the account's next nonce and sign again if it did not.",
	"nonce_gap":               "Transactions with lower nonces have to come first. Send those, or sign with the account's next nonce.",
	"expired":                 "It came too late for its validUntil. Sign it again with a later height.",
	"fee_too_low":             "Sign it again with at least min_fee, see the parameters.",
	"insufficient_funds":      "The account does not hold amount and fee. Fund it, or send less.",
	"insufficient_balance":    "After the fee the account does not hold the stake or deposit. Fund it, or bring less.",
	"zero_amount":             "Send more than nothing.",
	"zero_address":            "Nobody can spend from the zero address. Check whom it is meant for.",
	"bad_signature":           "The signature does not belong to these bytes. Check chain id and genesis hash of the wallet, then sign again.",
	"unknown_node":            "The node is not registered. Check its id, or register it first.",
	"unknown_bond":            "This node has no stake. Check its id.",
	"already_bonded":          "The node has its stake. Nothing has to be done.",
	"already_registered":      "A node's id lives once. Make a new key for another life.",
	"operator_too_small":      "The operator has to bring a larger part, see operator_minimum_bps in the parameters.",
	"overstake":               "More than what is missing. Look at the node's page, and bring at most that.",
	"fully_staked":            "The node lacks nothing. Choose one that is open.",
	"bond_closed":             "The node is on its way out and takes no stake. Choose one that is open.",
	"operator_first":          "A slash took from the operator's part; the operator has to fill it up first.",
	"no_open_slot":            "All places for contributors are taken. Choose another node.",
	"contribution_too_small":  "Bring at least what is missing divided by the open places: the node's page says how much.",
	"not_contributor":         "This account has no part in the node. Sign with the one that has.",
	"already_unlocking":       "It was asked for before. Wait until the stake comes free.",
	"bond_locked":             "The stake opens by itself when its time has come. Wait, then withdraw.",
	"nothing_due":             "Neither reward nor stake is there to be had yet. The node's page says from when.",
	"tombstoned":              "The node was proven to have cheated, and does not come back.",
	"not_council":             "Only council members change parameters; the parameters' page lists them.",
	"change_pending":          "A change is scheduled. Wait until it is in force.",
	"wrong_number":            "Sign for the number after the one in force.",
	"too_early":               "Sign for a later epoch: params_delay_epochs from now at least.",
	"too_late":                "Sign for an earlier epoch.",
	"already_approved":        "This member has approved it. Others have to.",
	"no_change":               "These parameters are in force.",
	"mempool_full":            "The ledger has too much waiting. Send it again in a moment.",
	"too_many_pending":        "Too much of this account waits. Send it again after the next block.",
	"replacement_underpriced": "One with this nonce waits. Sign with a higher fee to replace it.",
	"forked":                  "The dev network went back in time. Send it again.",
	"stale_sequence":          "A newer statement of this node was published. Nothing has to be done.",
	"too_soon":                "The node published one of this kind a moment ago. It will again when the next is due.",
	"already_punished":        "This offence was punished before: one offence, one punishment.",
	"deposit_too_small":       "Sign it again with a deposit of a thousandth of staking_requirement.",
	"commit_exists":           "This commit stands already. Nothing has to be done before the next epoch.",
	"commit_lapsed":           "Commit anew, and reveal within twenty blocks of the first block of the next epoch.",
	"early_beacon":            "Wait for the next epoch, and sign over its beacon.",
	"key_not_in_force":        "The node has rotated this key. One that it does not use any more is no offence.",
	"wrong_reporter":          "Only the account that the disclosure is signed for can submit it.",
	"proof_expired":           "The offence is older than evidence_age_ms, and cannot be punished any more. A disclosure has to be signed in the epoch in which it is revealed.",
}

func refusalAdvice(code string) string {
	if a := refusalAdvices[code]; a != "" {
		return a
	}
	return "The code above says which rule was broken. Nothing was changed and no fee was taken: the nonce is free still."
}
