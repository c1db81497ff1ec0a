"""The embedded portal: a second implementation of the documented REST behaviour of Bitrix24.

It shares nothing with `reconciler.portal`, so that a mistake of the client cannot hide behind the same mistake here.
"""
