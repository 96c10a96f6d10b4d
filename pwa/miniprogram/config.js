// What a hospital changes: where its Houfu answers (register it as request and socket domain of the program), and the
// telephone at which a person answers, for pages that nothing is known of yet.
module.exports = { base: 'https://pay.example', phone: '' };
