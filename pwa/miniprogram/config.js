// The one thing a hospital changes: where its Houfu answers. Register it as request and socket domain of the program.
module.exports = { base: 'https://pay.example' };
